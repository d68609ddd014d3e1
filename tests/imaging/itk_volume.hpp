#pragma once

#include <gtest/gtest.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "convt3d/imaging/volume.hpp"

namespace convt3d::testing {

/// A file as ITK reads it.
struct ItkVolume {
  itk::IOComponentEnum type = itk::IOComponentEnum::UNKNOWNCOMPONENTTYPE;
  std::vector<double> voxels;  ///< components of a voxel side by side
  std::vector<unsigned> sizes;
  std::vector<double> spacing, origin;
  std::array<double, 9> direction{};
  unsigned components = 1;
};

template <typename T>
std::vector<double> read_voxels_as(itk::ImageIOBase& io) {
  std::vector<T> voxels(io.GetImageSizeInPixels() * io.GetNumberOfComponents());
  io.Read(voxels.data());
  return {voxels.begin(), voxels.end()};
}

inline std::vector<double> read_voxels(itk::ImageIOBase& io) {
  switch (io.GetComponentType()) {
    case itk::IOComponentEnum::UCHAR: return read_voxels_as<std::uint8_t>(io);
    case itk::IOComponentEnum::CHAR: return read_voxels_as<std::int8_t>(io);
    case itk::IOComponentEnum::USHORT: return read_voxels_as<std::uint16_t>(io);
    case itk::IOComponentEnum::SHORT: return read_voxels_as<std::int16_t>(io);
    case itk::IOComponentEnum::UINT: return read_voxels_as<std::uint32_t>(io);
    case itk::IOComponentEnum::INT: return read_voxels_as<std::int32_t>(io);
    case itk::IOComponentEnum::ULONG: return read_voxels_as<unsigned long>(io);
    case itk::IOComponentEnum::LONG: return read_voxels_as<long>(io);
    case itk::IOComponentEnum::ULONGLONG: return read_voxels_as<unsigned long long>(io);
    case itk::IOComponentEnum::LONGLONG: return read_voxels_as<long long>(io);
    case itk::IOComponentEnum::FLOAT: return read_voxels_as<float>(io);
    case itk::IOComponentEnum::DOUBLE: return read_voxels_as<double>(io);
    default: ADD_FAILURE() << "ITK gives components of type " << static_cast<int>(io.GetComponentType()); return {};
  }
}

inline ItkVolume read_with_itk(const std::filesystem::path& path) {
  const std::string extension = volume_extension(path);
  itk::ImageIOBase::Pointer io;
  if (extension == ".mha" || extension == ".mhd") {
    io = itk::MetaImageIO::New();
  } else {
    io = itk::NiftiImageIO::New();
  }
  io->SetFileName(path.string());
  io->ReadImageInformation();
  ItkVolume volume;
  const unsigned axes = io->GetNumberOfDimensions();
  itk::ImageIORegion region(axes);
  for (unsigned axis = 0; axis < axes; ++axis) {
    volume.sizes.push_back(static_cast<unsigned>(io->GetDimensions(axis)));
    region.SetSize(axis, volume.sizes[axis]);
    volume.spacing.push_back(io->GetSpacing(axis));
    volume.origin.push_back(io->GetOrigin(axis));
    const std::vector<double> column = io->GetDirection(axis);
    for (unsigned row = 0; row < 3 && axis < 3; ++row) volume.direction[3 * row + axis] = column[row];
  }
  io->SetIORegion(region);
  volume.components = io->GetNumberOfComponents();
  volume.type = io->GetComponentType();
  volume.voxels = read_voxels(*io);
  return volume;
}

}  // namespace convt3d::testing
