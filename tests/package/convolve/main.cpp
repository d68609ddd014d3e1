/// The example of README, "The library", as a program of its own: exit code 0 when all of it holds.
#include <convt3d/convt3d.hpp>
#include <cstdio>
#include <cstdlib>

using namespace convt3d;

namespace {

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::exit(1);
}

}  // namespace

int main() {
  ConvTranspose3d up({.in_channels = 64, .out_channels = 32, .kernel_size = 4, .stride = 2, .padding = 1});
  std::puts(("ConvTranspose3d(" + up.extra_repr() + ")").c_str());
  require(up.extra_repr() == "64, 32, kernel_size=(4, 4, 4), stride=(2, 2, 2), padding=(1, 1, 1)",
          "extra_repr is PyTorch's");
  require(up.weight().shape() == Shape{64, 32, 4, 4, 4}, "weight is (in, out, kd, kh, kw)");
  require(up.bias()->shape() == Shape{32}, "bias is (out)");

  Tensor x = Tensor::zeros({2, 64, 4, 8, 8});
  Tensor y = up.forward(x);
  Tensor z = up.forward(x, {.output_size = {8, 16, 16}, .threads = 2});
  require(y.shape() == Shape{2, 32, 8, 16, 16} && z.shape() == y.shape(), "stride 2 doubles each axis");
  require(y.data<float>()[0] == up.bias()->data<float>()[0], "zeros become the bias");

  up.prepare(x.shape(), {.threads = 2});
  up.bias()->data<float>()[0] = 7;
  up.forward_into(x, y);
  require(y.data<float>()[0] == 7, "a changed parameter takes effect at the next run");

  try {
    up.forward(Tensor::zeros({2, 63, 4, 8, 8}));
    require(false, "63 channels are refused");
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kShape, "as an error of kind kShape");
    std::puts(error.what());
  }
}
