// Runs a network from its config, again and again, for bench/networks.py, which asks on stdin and reads answers on stdout:
//   run            milliseconds of one run, its output's memory included
//   output FILE    writes the last output, raw
//   peak           the most memory that the process has held so far, in bytes
// usage: convt3d_bench_network CONFIG INPUT.f32 N C D H W THREADS
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/model.hpp"
#include "convt3d/nn/fuse.hpp"

namespace {

using namespace convt3d;

Tensor read_input(const char* path, const Shape& shape) {
  Tensor input = Tensor::empty(shape);
  std::ifstream file(path, std::ios::binary);
  file.read(static_cast<char*>(input.raw()), input.size_bytes());
  if (!file) throw Error(ErrorKind::kInput, std::string(path) + ": cannot be read");
  return input;
}

std::int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

void answer_requests(const Sequential& network, const Tensor& input, int threads) {
  Tensor output;
  for (std::string request; std::cin >> request;) {
    if (request == "run") {
      output = Tensor();  // its memory is the next output's
      const auto began = std::chrono::steady_clock::now();
      output = network.forward(input, {.threads = threads});
      std::cout << std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count() << std::endl;
    } else if (request == "output") {
      std::string path;
      std::cin >> path;
      std::ofstream(path, std::ios::binary)
          .write(static_cast<const char*>(std::as_const(output).raw()), output.size_bytes());
      std::cout << "written" << std::endl;
    } else if (request == "peak") {
      std::cout << peak_bytes() << std::endl;
    }
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 9) {
    std::cerr << "usage: convt3d_bench_network CONFIG INPUT.f32 N C D H W THREADS\n";
    return 2;
  }
  try {
    Shape shape;
    for (int i = 3; i < 8; ++i) shape.push_back(std::atoll(arguments[i]));
    const Sequential network = fuse(std::move(load_model(arguments[1]).layers));
    const Tensor input = read_input(arguments[2], shape);
    std::cout << "ready" << std::endl;
    answer_requests(network, input, std::atoi(arguments[8]));
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
