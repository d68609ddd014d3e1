#pragma once

#include <span>

#include "convt3d/conv/executor.hpp"
#include "data.hpp"

namespace convt3d::bench {

/// The engine on one problem: planned and packed before, output buffer warm and reused.
class Ours {
 public:
  /// `data` is kept by reference. Throws Error as Executor does.
  Ours(Plan plan, const Data& data);

  double run_ms(int warmups, int repetitions);
  const Plan& plan() const { return executor_.plan(); }
  std::span<const float> output() const { return output_.values<float>(); }

 private:
  const Data& data_;
  Executor executor_;
  Tensor output_;
};

}  // namespace convt3d::bench
