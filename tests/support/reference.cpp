#include "support/reference.hpp"

namespace reference {
namespace {

std::int64_t volume(const Triple& extent) { return extent[0] * extent[1] * extent[2]; }

/// Calls visit(input index, weight index, output index) for every product of the definition that lands inside the output,
/// in the order of the loops.
template <typename Visit>
void for_each_product(const Layer& layer, const Visit& visit) {
  const Triple out = output_extent(layer);
  const Triple& in = layer.input;
  const Triple& k = layer.kernel;
  const std::int64_t ci_per_group = layer.ci / layer.groups;
  const std::int64_t co_per_group = layer.co / layer.groups;
  const auto position = [&](int axis, std::int64_t i, std::int64_t t) {
    return i * layer.stride[axis] - layer.padding[axis] + t * layer.dilation[axis];
  };
  const auto inside = [&](int axis, std::int64_t o) { return 0 <= o && o < out[axis]; };
  for (std::int64_t n = 0; n < layer.n; ++n) {
    for (std::int64_t ci = 0; ci < layer.ci; ++ci) {
      for (std::int64_t cog = 0; cog < co_per_group; ++cog) {
        const std::int64_t co = ci / ci_per_group * co_per_group + cog;
        const std::int64_t input_base = (n * layer.ci + ci) * volume(in);
        const std::int64_t weight_base = (ci * co_per_group + cog) * volume(k);
        const std::int64_t output_base = (n * layer.co + co) * volume(out);
        for (std::int64_t id = 0; id < in[0]; ++id) {
          for (std::int64_t kd = 0; kd < k[0]; ++kd) {
            const std::int64_t od = position(0, id, kd);
            if (!inside(0, od)) continue;
            for (std::int64_t ih = 0; ih < in[1]; ++ih) {
              for (std::int64_t kh = 0; kh < k[1]; ++kh) {
                const std::int64_t oh = position(1, ih, kh);
                if (!inside(1, oh)) continue;
                for (std::int64_t iw = 0; iw < in[2]; ++iw) {
                  for (std::int64_t kw = 0; kw < k[2]; ++kw) {
                    const std::int64_t ow = position(2, iw, kw);
                    if (!inside(2, ow)) continue;
                    visit(input_base + (id * in[1] + ih) * in[2] + iw, weight_base + (kd * k[1] + kh) * k[2] + kw,
                          output_base + (od * out[1] + oh) * out[2] + ow);
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace

Triple output_extent(const Layer& layer) {
  Triple out;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t last_product =
        (layer.input[axis] - 1) * layer.stride[axis] + (layer.kernel[axis] - 1) * layer.dilation[axis];
    out[axis] = last_product + 1 - 2 * layer.padding[axis] + layer.output_padding[axis];
  }
  return out;
}

std::vector<double> conv_transpose3d(const Layer& layer, const std::vector<double>& input, const std::vector<double>& weight,
                                     const std::vector<double>& bias) {
  const std::int64_t voxels = volume(output_extent(layer));
  std::vector<double> output(static_cast<std::size_t>(layer.n * layer.co * voxels), 0.0);
  if (!bias.empty()) {
    for (std::size_t o = 0; o < output.size(); ++o) {
      output[o] = bias[o / static_cast<std::size_t>(voxels) % static_cast<std::size_t>(layer.co)];
    }
  }
  for_each_product(layer, [&](std::int64_t i, std::int64_t t, std::int64_t o) {
    output[static_cast<std::size_t>(o)] += input[static_cast<std::size_t>(i)] * weight[static_cast<std::size_t>(t)];
  });
  return output;
}

std::vector<double> conv3d(const Layer& layer, const std::vector<double>& array, const std::vector<double>& weight) {
  const Triple out = output_extent(layer);
  const Triple& in = layer.input;
  const Triple& k = layer.kernel;
  const std::int64_t ci_per_group = layer.ci / layer.groups;
  const std::int64_t co_per_group = layer.co / layer.groups;
  /// array[n, co, o], zero outside the volume.
  const auto at = [&](std::int64_t n, std::int64_t co, const Triple& o) {
    for (int axis = 0; axis < 3; ++axis) {
      if (o[axis] < 0 || o[axis] >= out[axis]) return 0.0;
    }
    return array[static_cast<std::size_t>((((n * layer.co + co) * out[0] + o[0]) * out[1] + o[1]) * out[2] + o[2])];
  };
  /// The correlation's value for one voxel of the result.
  const auto correlate = [&](std::int64_t n, std::int64_t ci, const Triple& i) {
    double sum = 0;
    for (std::int64_t cog = 0; cog < co_per_group; ++cog) {
      const std::int64_t co = ci / ci_per_group * co_per_group + cog;
      for (std::int64_t t = 0; t < volume(k); ++t) {
        const Triple tap = {t / (k[1] * k[2]), t / k[2] % k[1], t % k[2]};
        Triple o;
        for (int axis = 0; axis < 3; ++axis) {
          o[axis] = i[axis] * layer.stride[axis] - layer.padding[axis] + tap[axis] * layer.dilation[axis];
        }
        sum += at(n, co, o) * weight[static_cast<std::size_t>((ci * co_per_group + cog) * volume(k) + t)];
      }
    }
    return sum;
  };
  std::vector<double> result;
  result.reserve(static_cast<std::size_t>(layer.n * layer.ci * volume(in)));
  for (std::int64_t n = 0; n < layer.n; ++n) {
    for (std::int64_t ci = 0; ci < layer.ci; ++ci) {
      for (std::int64_t i = 0; i < volume(in); ++i) {
        result.push_back(correlate(n, ci, {i / (in[1] * in[2]), i / in[2] % in[1], i % in[2]}));
      }
    }
  }
  return result;
}

std::int64_t multiply_adds(const Layer& layer) {
  std::int64_t count = 0;
  for_each_product(layer, [&](std::int64_t, std::int64_t, std::int64_t) { ++count; });
  return count;
}

}  // namespace reference
