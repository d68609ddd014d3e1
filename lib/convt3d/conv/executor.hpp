#pragma once

#include <memory>
#include <string>

#include "convt3d/base/observer.hpp"
#include "convt3d/base/planes.hpp"
#include "convt3d/base/tensor.hpp"
#include "convt3d/conv/plan.hpp"
#include "convt3d/conv/pointwise.hpp"

namespace convt3d {

/// A plan with its weights packed: run it as often as you like, from several threads at once.
class Executor {
 public:
  /// weight: (ci, co/groups, kd, kh, kw) in the problem's dtype, C order; bias: co elements, or null for none.
  /// `epilogue` is done to every output before it is stored; its parameters fit the problem's co (fits_channels).
  Executor(Plan plan, const void* weight, const void* bias, Epilogue epilogue = {});
  ~Executor();
  Executor(Executor&&) noexcept;
  Executor& operator=(Executor&&) noexcept;

  const Plan& plan() const;

  /// Overwrites `output` (n, co, output) from `input` (n, ci, input). Allocates only on first use by a thread more than
  /// before. Throws Error{kShape} when the views are not the plan's, Error{kStopped} when the observer says so.
  void run(const ConstTensorView& input, const TensorView& output, Observer* observer = nullptr) const;

  /// Overwrites planes `wanted` of the output, (n, co, wanted.count(), height, width), with the bits that they have in the
  /// whole output, from planes `held` of the input, (n, ci, held.count(), height, width): at least plan().reach.of(wanted).
  /// Throws Error{kShape} for planes other than that, and as above.
  void run_planes(const ConstTensorView& input, const Planes& held, const TensorView& output, const Planes& wanted,
                  Observer* observer = nullptr) const;

  /// Instruction set of the kernels that run, in the words of the library that compiled them: "AVX3", "AVX2", "SSE4",
  /// "NEON".
  std::string isa() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace convt3d
