/// What one would write with ITK: reads a volume, resamples it linearly to half the voxel as float32, writes it.
/// usage: convt3d_bench_itk INPUT OUTPUT THREADS
///   prints the seconds of reading, computing and writing
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>
#include <itkLinearInterpolateImageFunction.h>
#include <itkMultiThreaderBase.h>
#include <itkNiftiImageIO.h>
#include <itkResampleImageFilter.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using Image = itk::Image<float, 3>;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Image::Pointer read(const std::string& path) {
  const auto reader = itk::ImageFileReader<Image>::New();
  reader->SetImageIO(itk::NiftiImageIO::New());
  reader->SetFileName(path);
  reader->Update();
  return reader->GetOutput();
}

/// The grid of convt3d's trilinear_x2: twice the voxels, the same field of view.
Image::Pointer resample(const Image& input) {
  auto size = input.GetLargestPossibleRegion().GetSize();
  auto spacing = input.GetSpacing();
  itk::ContinuousIndex<double, 3> first;
  for (unsigned axis = 0; axis < 3; ++axis) {
    size[axis] *= 2;
    spacing[axis] /= 2;
    first[axis] = -0.25;
  }
  Image::PointType origin;
  input.TransformContinuousIndexToPhysicalPoint(first, origin);
  const auto filter = itk::ResampleImageFilter<Image, Image>::New();
  filter->SetInput(&input);
  filter->SetInterpolator(itk::LinearInterpolateImageFunction<Image>::New());
  filter->SetSize(size);
  filter->SetOutputSpacing(spacing);
  filter->SetOutputOrigin(origin);
  filter->SetOutputDirection(input.GetDirection());
  filter->Update();
  return filter->GetOutput();
}

void write(const Image& image, const std::string& path) {
  const auto writer = itk::ImageFileWriter<Image>::New();
  writer->SetImageIO(itk::NiftiImageIO::New());
  writer->SetInput(&image);
  writer->SetFileName(path);
  writer->Update();
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: convt3d_bench_itk INPUT OUTPUT THREADS\n");
    return 2;
  }
  try {
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(static_cast<unsigned>(std::atoi(arguments[3])));
    const auto start = Clock::now();
    const Image::Pointer input = read(arguments[1]);
    const double read_end = seconds_since(start);
    const Image::Pointer output = resample(*input);
    const double compute_end = seconds_since(start);
    write(*output, arguments[2]);
    std::printf("%.3f %.3f %.3f\n", read_end, compute_end - read_end, seconds_since(start) - compute_end);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "convt3d_bench_itk: %s\n", error.what());
    return 1;
  }
}
