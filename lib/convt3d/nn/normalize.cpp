#include "convt3d/nn/normalize.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/centred_affine.hpp"
#include "convt3d/nn/element_type.hpp"
#include "convt3d/nn/percentile_statistics.hpp"
#include "convt3d/nn/pointwise_layer.hpp"
#include "convt3d/nn/python_repr.hpp"
#include "convt3d/nn/range_statistics.hpp"

namespace convt3d {
namespace {

using Mode = Normalize::Mode;

[[noreturn]] void refuse(const std::string& what) { throw Error(ErrorKind::kShape, what); }

/// A scale to divide by.
double nonzero(double scale) { return scale == 0 ? 1 : scale; }

class NormalizeLayer final : public NormalizingLayer {
 public:
  explicit NormalizeLayer(const Normalize& normalize) : its_(normalize) {
    if (its_.mode != Mode::kPercentiles || (its_.low >= 0 && its_.low < its_.high && its_.high <= 100)) return;
    refuse("normalize needs 0 <= low < high <= 100, found " + python_repr(its_.low) + " and " + python_repr(its_.high));
  }

  std::string_view type() const override { return "normalize"; }

  std::string repr() const override {
    if (its_.mode == Mode::kZScore) return "Normalize(mode='zscore')";
    if (its_.mode == Mode::kMinMax) return "Normalize(mode='minmax')";
    return "Normalize(mode='percentiles', low=" + python_repr(its_.low) + ", high=" + python_repr(its_.high) + ")";
  }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    if (input[0] > 0 && input[2] * input[3] * input[4] == 0)
      refuse("there are no voxels to normalise in " + to_string(input));
    return input;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    LayerPlan plan =
        in_place_plan(output_shape(input), 5 * static_cast<double>(element_count(input)),
                      its_.mode == Mode::kPercentiles ? "passes" : "two passes", "the range of each channel, then in place");
    plan.reach = pointwise_reach(input);
    plan.bytes = its_.mode == Mode::kPercentiles ? PercentileStatistics::bytes(input) : MomentStatistics::bytes(input);
    plan.ledger = {{"ranges of channels", plan.bytes}};
    return plan;
  }

  Tensor forward(Tensor input, const RunOptions& options) const override {
    output_shape(input.shape());
    const std::unique_ptr<const Statistics> statistics = gathered(*this, input, options.threads);
    return forward_with(std::move(input), 0, *statistics, options);
  }

  std::unique_ptr<Statistics> statistics(const Shape& input) const override {
    output_shape(input);
    if (its_.mode == Mode::kZScore) return std::make_unique<DeviationStatistics>(input);
    if (its_.mode == Mode::kMinMax) return std::make_unique<ExtremaStatistics>(input);
    return std::make_unique<PercentileStatistics>(input, its_.low, its_.high);
  }

  Tensor forward_with(Tensor planes, std::int64_t first_n, const Statistics& statistics,
                      const RunOptions& options) const override {
    const auto& ranges = dynamic_cast<const RangeStatistics&>(statistics);
    const TensorView volumes = planes.view();
    CentredAffine normalising(volumes.dtype);
    for (std::int64_t n = 0; n < volumes.n; ++n) {
      for (std::int64_t c = 0; c < volumes.c; ++c) {
        const ValueRange range = ranges.range(first_n + n, c);
        normalising.add_channel(range.centre, 1 / nonzero(range.scale), 0);
      }
    }
    Epilogue functions = std::move(normalising).functions();
    // 0 and 1 themselves, whatever the rounding.
    if (its_.mode != Mode::kZScore) functions.push_back({.function = Pointwise::Function::kHardtanh, .p = {0}, .q = {1}});
    functions.insert(functions.end(), absorbed_.begin(), absorbed_.end());
    apply_to_each(functions, volumes, options.threads);
    return planes;
  }

  Fusion absorb(const Pointwise& function) override {
    if (function.p.size() != 1 || function.q.size() != 1) return Fusion::kNone;  // how many channels there are is not known
    absorbed_.push_back(function);
    return Fusion::kEpilogue;
  }

 private:
  Normalize its_;
  Epilogue absorbed_;
};

class DenormalizeLayer final : public DenormalizingLayer {
 public:
  std::string_view type() const override { return "denormalize"; }
  std::string repr() const override { return "Denormalize()"; }

  Shape output_shape(const Shape& input) const override {
    require_volumes(input);
    return input;
  }

  LayerPlan plan(const Shape& input, const RunOptions&) const override {
    LayerPlan plan =
        in_place_plan(output_shape(input), 2 * static_cast<double>(element_count(input)), "pointwise", "in place");
    plan.reach = pointwise_reach(input);
    return plan;
  }

  Tensor forward(Tensor, const RunOptions&) const override {
    refuse("denormalize needs the ranges that a normalize layer of its stack has found");
  }

  void require_fit(const Shape& input, const Shape& normalized) const override {
    if (normalized[0] == input[0] && (normalized[1] == 1 || normalized[1] == input[1])) return;
    refuse("takes volumes back to the ranges of " + std::to_string(normalized[1]) + " normalised channels, but " +
           std::to_string(input[1]) + " channels arrive; expected as many, or one that was normalised");
  }

  Tensor forward_with(Tensor planes, std::int64_t first_n, const Statistics& statistics,
                      const RunOptions& options) const override {
    const auto& ranges = dynamic_cast<const RangeStatistics&>(statistics);
    const TensorView volumes = planes.view();
    Pointwise affine{.function = Pointwise::Function::kAffine, .p = {}, .q = {}};
    for (std::int64_t n = 0; n < volumes.n; ++n) {
      for (std::int64_t c = 0; c < volumes.c; ++c) {
        const ValueRange range = ranges.range(first_n + n, ranges.channels() == 1 ? 0 : c);
        affine.p.push_back(nonzero(range.scale));
        affine.q.push_back(range.centre);
      }
    }
    Epilogue functions = {std::move(affine)};
    functions.insert(functions.end(), absorbed_.begin(), absorbed_.end());
    apply_to_each(functions, volumes, options.threads);
    return planes;
  }

  Fusion absorb(const Pointwise& function) override {
    if (function.p.size() != 1 || function.q.size() != 1) return Fusion::kNone;
    absorbed_.push_back(function);
    return Fusion::kEpilogue;
  }

 private:
  Epilogue absorbed_;
};

std::string python_list(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ", ") + python_repr(value);
  return values.size() == 1 ? text : "[" + text + "]";
}

/// Mean and std of the same number of channels.
Normalize spread_to_channels(Normalize given) {
  if (given.mean.empty() || given.std.empty()) refuse("normalize needs both mean and std");
  const std::size_t channels = std::max(given.mean.size(), given.std.size());
  for (std::vector<double>* values : {&given.mean, &given.std}) {
    if (values->size() == 1) values->resize(channels, values->front());
    if (values->size() == channels) continue;
    refuse("normalize has " + std::to_string(given.mean.size()) + " mean and " + std::to_string(given.std.size()) +
           " std; expected as many, or one");
  }
  for (const double std : given.std) {
    if (!(std > 0)) refuse("normalize divides by std, found " + python_repr(std) + "; expected above 0");
  }
  return given;
}

}  // namespace

std::unique_ptr<Layer> make_layer(const Normalize& normalize) {
  if (normalize.mode != Mode::kGiven) return std::make_unique<NormalizeLayer>(normalize);
  const Normalize given = spread_to_channels(normalize);
  Pointwise affine{.function = Pointwise::Function::kAffine, .p = {}, .q = {}};
  for (std::size_t c = 0; c < given.mean.size(); ++c) {
    affine.p.push_back(1 / given.std[c]);
    affine.q.push_back(-given.mean[c] / given.std[c]);
  }
  return std::make_unique<PointwiseLayer>(
      LayerText{.type = "normalize",
                .repr = "Normalize(mean=" + python_list(normalize.mean) + ", std=" + python_list(normalize.std) + ")"},
      std::move(affine));
}

std::unique_ptr<DenormalizingLayer> make_layer(const Denormalize&) { return std::make_unique<DenormalizeLayer>(); }

std::unique_ptr<Layer> make_inverse(const Normalize& normalize) {
  Normalize given = spread_to_channels(normalize);
  return std::make_unique<PointwiseLayer>(
      LayerText{.type = "denormalize", .repr = "Denormalize()"},
      Pointwise{.function = Pointwise::Function::kAffine, .p = std::move(given.std), .q = std::move(given.mean)});
}

}  // namespace convt3d
