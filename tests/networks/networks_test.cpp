// Whole networks from configs and state dicts, as make_networks.py describes, against what PyTorch makes of the same input:
// as written, and fused.
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "convt3d/model/model.hpp"
#include "convt3d/model/tensor_file.hpp"
#include "convt3d/nn/fuse.hpp"
#include "support/distance.hpp"

namespace {

using namespace convt3d;
using testing_support::relative_l2;

class Networks : public testing::TestWithParam<std::string> {
 protected:
  Model model() const { return load_model(std::filesystem::path(CONVT3D_NETWORKS) / (GetParam() + ".json")); }
  Tensor golden(const std::string& key) const { return goldens_->read("golden." + key); }

 private:
  std::unique_ptr<TensorFile> goldens_ =
      open_tensor_file(std::filesystem::path(CONVT3D_NETWORKS) / "goldens" / (GetParam() + ".safetensors"));
};

INSTANTIATE_TEST_SUITE_P(Small, Networks,
                         testing::Values("nnunet_decoder", "monai_unet", "vnet", "gan3d", "fsrcnn3d", "espcn3d",
                                         "residual_sr", "autoencoder"),
                         [](const auto& test) { return test.param; });

TEST_P(Networks, GiveWhatPyTorchGives) {
  const Tensor input = golden("input");
  const Tensor expected = golden("output");
  Model network = model();
  EXPECT_TRUE(network.warnings.empty()) << network.warnings.front();
  const Tensor output = network.layers.forward(input, {.threads = 2});
  ASSERT_EQ(output.shape(), expected.shape());
  EXPECT_LE(relative_l2(output, expected), 5e-6);
  EXPECT_LE(relative_l2(fuse(std::move(network.layers)).forward(input, {.threads = 1}), expected), 5e-6);
}

TEST_P(Networks, PlanTheShapesThatTheyGive) {
  const Model network = model();
  const Tensor expected = golden("output");
  EXPECT_EQ(network.layers.plan(golden("input").shape()).back().output, expected.shape());
}

}  // namespace
