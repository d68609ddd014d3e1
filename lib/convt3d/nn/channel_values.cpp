#include "convt3d/nn/channel_values.hpp"

#include <string>

#include "convt3d/base/error.hpp"

namespace convt3d {

std::vector<double> channel_values(std::string_view module, std::string_view name, const Tensor& tensor,
                                   std::int64_t channels) {
  if (tensor.shape() != Shape{channels}) {
    throw Error(ErrorKind::kShape, std::string(module) + ": " + std::string(name) + " has shape " +
                                       to_string(tensor.shape()) + "; expected " + to_string(Shape{channels}) +
                                       ", one value for each channel");
  }
  const Tensor wide = convert(tensor, DType::kFloat64);
  return {wide.values<double>().begin(), wide.values<double>().end()};
}

}  // namespace convt3d
