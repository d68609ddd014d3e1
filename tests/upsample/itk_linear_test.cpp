// The shipped trilinear_x2 against ITK's own linear interpolation: the same scan, resampled by ITK at the places where the
// output's header says that its voxels lie. Values and geometry are right together, or neither is.
#include <gtest/gtest.h>
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkImageRegionConstIteratorWithIndex.h>
#include <itkLinearInterpolateImageFunction.h>
#include <itkNiftiImageIOFactory.h>
#include <itkResampleImageFilter.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "convt3d/upsample/upsample.hpp"

namespace convt3d {
namespace {

namespace fs = std::filesystem;
using Image = itk::Image<float, 3>;

Image::Pointer read_with_itk(const fs::path& path) {
  itk::NiftiImageIOFactory::RegisterOneFactory();
  const auto reader = itk::ImageFileReader<Image>::New();
  reader->SetFileName(path.string());
  reader->Update();
  return reader->GetOutput();
}

Image::Pointer resample_with_itk(const Image* scan, const Image* at) {
  const auto filter = itk::ResampleImageFilter<Image, Image>::New();
  filter->SetInput(scan);
  filter->SetInterpolator(itk::LinearInterpolateImageFunction<Image>::New());
  filter->SetReferenceImage(at);
  filter->UseReferenceImageOn();
  filter->Update();
  return filter->GetOutput();
}

struct Difference {
  double largest = 0;
  double range = 0;
  std::int64_t voxels = 0;
};

/// Over all voxels but the outermost `margin`, where ITK knows nothing outside the scan and the config repeats its edge.
Difference compare(const Image* output, const Image* expected, itk::IndexValueType margin) {
  Difference difference;
  float least = std::numeric_limits<float>::max();
  float most = std::numeric_limits<float>::lowest();
  Image::RegionType inside = output->GetLargestPossibleRegion();
  inside.ShrinkByRadius(static_cast<itk::SizeValueType>(margin));
  itk::ImageRegionConstIteratorWithIndex<Image> voxel(output, inside);
  for (; !voxel.IsAtEnd(); ++voxel) {
    const float reference = expected->GetPixel(voxel.GetIndex());
    difference.largest = std::max(difference.largest, std::abs(static_cast<double>(voxel.Get()) - reference));
    least = std::min(least, reference);
    most = std::max(most, reference);
    ++difference.voxels;
  }
  difference.range = most - least;
  return difference;
}

class ItkLinear : public testing::TestWithParam<std::string> {};

TEST_P(ItkLinear, AgreesAwayFromTheEdges) {
  const fs::path scan = GetParam();
  if (!fs::exists(scan)) GTEST_SKIP() << scan << " is not installed";
  const fs::path output = fs::path(testing::TempDir()) / ("itk_linear_" + std::to_string(getpid()) + ".nii");

  const Model model = load_model(fs::path(CONVT3D_CONFIGS) / "trilinear_x2.json");
  UpsampleOptions options;
  options.output_type = DType::kFloat32;
  const UpsamplePlan plan = plan_upsample(model, {scan}, output, options);
  run_upsample(model, plan, options);

  const Image::Pointer input = read_with_itk(scan);
  const Image::Pointer upsampled = read_with_itk(output);
  fs::remove(output);
  for (unsigned axis = 0; axis < 3; ++axis) {
    EXPECT_EQ(upsampled->GetLargestPossibleRegion().GetSize(axis), 2 * input->GetLargestPossibleRegion().GetSize(axis));
  }
  const Difference difference = compare(upsampled, resample_with_itk(input, upsampled), 1);
  EXPECT_GT(difference.voxels, 1000);
  EXPECT_GT(difference.range, 0);
  EXPECT_LE(difference.largest, 1e-3 * difference.range);
}

INSTANTIATE_TEST_SUITE_P(Scans, ItkLinear,
                         testing::Values(CONVT3D_TESTDATA "/brain.nii.gz", "/usr/share/mricron/templates/ch2.nii.gz"),
                         [](const auto& scan) { return fs::path(scan.param).stem().stem().string(); });

}  // namespace
}  // namespace convt3d
