#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "convt3d/nn/layer.hpp"

namespace convt3d {

/// A step of a stack that takes a second volume besides what arrives: the output of an earlier layer or the stack's own
/// input. Layer's functions of one input throw Error{kShape}.
class JoinLayer : public Layer {
 public:
  /// Throws Error{kShape}, both shapes in the message, when the two cannot be joined.
  virtual Shape join_shape(const Shape& input, const Shape& from) const = 0;
  virtual LayerPlan join_plan(const Shape& input, const Shape& from, const RunOptions& options) const = 0;
  /// Takes the input over, and only reads `from`, which is other memory.
  virtual Tensor join(Tensor input, const Tensor& from, const RunOptions& options) const = 0;

  /// Planes of the joined volumes, with the bits that join gives them, from planes of both; `from_held` contain those.
  void join_planes(const PlaneRun& run, const ConstTensorView& from, const Planes& from_held,
                   const RunOptions& options) const;

  Shape output_shape(const Shape& input) const final;
  LayerPlan plan(const Shape& input, const RunOptions& options) const final;
  Tensor forward(Tensor input, const RunOptions& options) const final;
};

/// input + from, element by element; of equal shapes.
struct Add {};

/// The channels of both: torch.cat((input, from), 1) with kLast, torch.cat((from, input), 1) with kFirst. All but the
/// channels are equal.
struct Concat {
  enum class Order { kLast, kFirst };  ///< where the channels of `from` come
  Order order = Order::kLast;
};

/// "last", "first"
std::optional<Concat::Order> concat_order_from_name(std::string_view name);

std::unique_ptr<JoinLayer> make_layer(const Add& add);
std::unique_ptr<JoinLayer> make_layer(const Concat& concat);

}  // namespace convt3d
