#include "support/pointwise.hpp"

#include <algorithm>
#include <cmath>

namespace testing_support {

const std::vector<NamedPointwise>& pointwise_functions() {
  using Function = convt3d::Pointwise::Function;
  static const std::vector<NamedPointwise> functions = {
      {"relu", {.function = Function::kRelu}, [](double x) { return x > 0 ? x : 0; }},
      {"leaky_relu", {.function = Function::kLeakyRelu, .p = {0.125}}, [](double x) { return x > 0 ? x : 0.125 * x; }},
      {"elu", {.function = Function::kElu, .p = {0.5}}, [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); }},
      {"gelu", {.function = Function::kGelu}, [](double x) { return 0.5 * x * std::erfc(-x * std::sqrt(0.5)); }},
      {"gelu_tanh",
       {.function = Function::kTanhGelu},
       [](double x) {  // z is in an exponent: its rounding counts several times
         const long double wide = x;
         const long double z = -2 * std::sqrt(2 / 3.14159265358979323846L) * (wide + 0.044715L * wide * wide * wide);
         return static_cast<double>(wide / (1 + std::exp(z)));
       }},
      {"silu", {.function = Function::kSilu}, [](double x) { return x / (1 + std::exp(-x)); }},
      {"sigmoid", {.function = Function::kSigmoid}, [](double x) { return 1 / (1 + std::exp(-x)); }},
      {"tanh", {.function = Function::kTanh}, [](double x) { return std::tanh(x); }},
      {"softplus",
       {.function = Function::kSoftplus, .p = {2}, .q = {10}},
       [](double x) { return 2 * x > 10 ? x : std::log1p(std::exp(2 * x)) / 2; }},
      {"hardtanh",
       {.function = Function::kHardtanh, .p = {-0.5}, .q = {2}},
       [](double x) { return std::min(std::max(x, -0.5), 2.0); }},
      {"exp", {.function = Function::kExp}, [](double x) { return std::exp(x); }},
      {"affine", {.function = Function::kAffine, .p = {0.75}, .q = {-0.25}}, [](double x) { return 0.75 * x - 0.25; }},
  };
  return functions;
}

}  // namespace testing_support
