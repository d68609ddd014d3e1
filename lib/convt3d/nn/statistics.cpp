#include "convt3d/nn/statistics.hpp"

#include <string>
#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/nn/layer.hpp"

namespace convt3d {

void Layer::forward_planes(const PlaneRun& run, const RunOptions& options) const {
  run_alone(run, options.threads, [&](Tensor planes) { return forward(std::move(planes), options); });
}

std::unique_ptr<Statistics> Layer::statistics(const Shape&) const { return nullptr; }

Tensor Layer::forward_with(Tensor, std::int64_t, const Statistics&, const RunOptions&) const {
  throw Error(ErrorKind::kShape, std::string(type()) + " needs no statistics of its input");
}

std::unique_ptr<const Statistics> gathered(const Layer& layer, const Tensor& input, int threads) {
  std::unique_ptr<Statistics> statistics = layer.statistics(input.shape());
  if (!statistics) return nullptr;
  do {
    statistics->add(input.view(), 0, 0, threads);
  } while (statistics->finish_pass());
  return statistics;
}

}  // namespace convt3d
