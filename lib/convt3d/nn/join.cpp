#include "convt3d/nn/join.hpp"

#include <cstring>
#include <string>
#include <utility>

#include "convt3d/base/checked.hpp"
#include "convt3d/base/error.hpp"
#include "convt3d/conv/parallel.hpp"
#include "convt3d/nn/element_type.hpp"

namespace convt3d {
namespace {

// 2^16 elements are 256 or 512 KiB: starting a task is nothing against moving them.
constexpr std::int64_t kGrain = std::int64_t{1} << 16;

[[noreturn]] void refuse_one_input(std::string_view type) {
  throw Error(ErrorKind::kShape, std::string(type) + " joins two volumes; it needs the layer that the second comes from");
}

void require_one_dtype(const Tensor& input, const Tensor& from) {
  if (input.dtype() == from.dtype()) return;
  throw Error(ErrorKind::kShape, "the volumes to join are " + std::string(name_of(input.dtype())) + " and " +
                                     std::string(name_of(from.dtype())));
}

class AddLayer final : public JoinLayer {
 public:
  std::string_view type() const override { return "add"; }
  std::string repr() const override { return "Add()"; }

  Shape join_shape(const Shape& input, const Shape& from) const override {
    require_volumes(input);
    if (input == from) return input;
    throw Error(ErrorKind::kShape, "adds volumes of one shape (N, C, D, H, W), found " + to_string(input) +
                                       " and, from there, " + to_string(from) +
                                       (from.size() == 5 && input[1] != from[1] ? "; concat joins different channels" : ""));
  }

  LayerPlan join_plan(const Shape& input, const Shape& from, const RunOptions&) const override {
    const double flops = static_cast<double>(element_count(input));
    LayerPlan plan = in_place_plan(join_shape(input, from), flops, "pointwise", "in place");
    plan.reach = pointwise_reach(input);
    return plan;
  }

  Tensor join(Tensor input, const Tensor& from, const RunOptions& options) const override {
    join_shape(input.shape(), from.shape());
    require_one_dtype(input, from);
    with_element_type(input.dtype(), [&]<typename T>(T) {
      T* const sum = input.data<T>();
      const T* const other = from.data<T>();
      parallel_for(options.threads, input.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) sum[i] += other[i];
      });
    });
    return input;
  }
};

class ConcatLayer final : public JoinLayer {
 public:
  explicit ConcatLayer(const Concat& concat) : from_first_(concat.order == Concat::Order::kFirst) {}

  std::string_view type() const override { return "concat"; }
  std::string repr() const override { return from_first_ ? "Concat(order='first')" : "Concat()"; }

  Shape join_shape(const Shape& input, const Shape& from) const override {
    require_volumes(input);
    Shape joined = from;
    if (from.size() == 5) joined[1] = input[1];
    const auto channels = from.size() == 5 ? checked_add(input[1], from[1]) : std::nullopt;
    if (joined != input || !channels) {
      throw Error(ErrorKind::kShape, "joins the channels of volumes (N, C, D, H, W) that are alike in all else, found " +
                                         to_string(input) + " and, from there, " + to_string(from));
    }
    joined[1] = *channels;
    return joined;
  }

  LayerPlan join_plan(const Shape& input, const Shape& from, const RunOptions&) const override {
    LayerPlan plan;
    plan.input = input;
    plan.output = join_shape(input, from);
    plan.reach = pointwise_reach(input);
    plan.algorithm = "copy";
    plan.reason = "moves channels";
    return plan;
  }

  Tensor join(Tensor input, const Tensor& from, const RunOptions& options) const override {
    Tensor output = Tensor::empty(join_shape(input.shape(), from.shape()), input.dtype());
    require_one_dtype(input, from);
    const Tensor& first = from_first_ ? from : std::as_const(input);
    const Tensor& last = from_first_ ? std::as_const(input) : from;
    copy_channels(first, output, 0, options.threads);
    copy_channels(last, output, first.shape()[1], options.threads);
    return output;
  }

 private:
  /// All channels of `part` to those of `whole` from `channel` on.
  static void copy_channels(const Tensor& part, Tensor& whole, std::int64_t channel, int threads) {
    const Shape& shape = part.shape();
    const std::int64_t plane = shape[2] * shape[3] * shape[4] * static_cast<std::int64_t>(size_of(part.dtype()));
    const auto* const source = static_cast<const char*>(part.raw());
    auto* const target = static_cast<char*>(whole.raw());
    const std::int64_t bytes = shape[1] * plane;  // of one volume
    const std::int64_t stride = whole.shape()[1] * plane;
    constexpr std::int64_t kGrainBytes = kGrain * 8;
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      char* const to = target + n * stride + channel * plane;
      parallel_for(threads, bytes, kGrainBytes, [&](std::int64_t begin, std::int64_t end) {
        std::memcpy(to + begin, source + n * bytes + begin, static_cast<std::size_t>(end - begin));
      });
    }
  }

  bool from_first_;
};

}  // namespace

void JoinLayer::join_planes(const PlaneRun& run, const ConstTensorView& from, const Planes& from_held,
                            const RunOptions& options) const {
  const Tensor other = cut(from, from_held, run.wanted, options.threads);
  run_alone(run, options.threads, [&](Tensor planes) { return join(std::move(planes), other, options); });
}

Shape JoinLayer::output_shape(const Shape&) const { refuse_one_input(type()); }
LayerPlan JoinLayer::plan(const Shape&, const RunOptions&) const { refuse_one_input(type()); }
Tensor JoinLayer::forward(Tensor, const RunOptions&) const { refuse_one_input(type()); }

std::optional<Concat::Order> concat_order_from_name(std::string_view name) {
  if (name == "last") return Concat::Order::kLast;
  if (name == "first") return Concat::Order::kFirst;
  return std::nullopt;
}

std::unique_ptr<JoinLayer> make_layer(const Add&) { return std::make_unique<AddLayer>(); }
std::unique_ptr<JoinLayer> make_layer(const Concat& concat) { return std::make_unique<ConcatLayer>(concat); }

}  // namespace convt3d
