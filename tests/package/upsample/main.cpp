/// usage: upsample CONFIG FOLDER: writes a small volume into FOLDER, takes it through CONFIG (by 2 on each axis) and looks
/// at the result. Exit code 0 when it is twice the size and half the spacing.
#include <convt3d/convt3d.hpp>
#include <convt3d/upsample/upsample.hpp>
#include <cstdio>

using namespace convt3d;

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const Model model = load_model(argv[1]);
  const std::filesystem::path folder = argv[2];

  VolumeHeader header;
  header.grid.extent = {4, 5, 6};
  write_volume(folder / "small.nii", Tensor::zeros({1, 1, 4, 5, 6}), header.grid, header, {});

  const UpsampleOptions options;
  const UpsamplePlan plan = plan_upsample(model, {folder / "small.nii"}, folder / "large.mha", options);
  run_upsample(model, plan, options, nullptr);

  const VoxelGrid grid = read_header(folder / "large.mha").grid;
  std::printf("%s, spacing %g mm\n", to_string(grid.extent).c_str(), grid.spacing_mm[0]);
  return grid.extent == Extent3(8, 10, 12) && grid.spacing_mm[0] == 0.5 ? 0 : 1;
}
