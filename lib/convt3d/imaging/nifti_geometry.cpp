#include "convt3d/imaging/nifti_geometry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

using Matrix3 = std::array<double, 9>;  // row-major
using Vector3 = std::array<double, 3>;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& message) {
  throw Error(ErrorKind::kInput, fmt::format("{}: {}", path.string(), message));
}

Vector3 column(const Matrix3& m, std::size_t j) { return {m[j], m[3 + j], m[6 + j]}; }

double norm(const Vector3& v) { return std::hypot(v[0], v[1], v[2]); }

double determinant(const Matrix3& m) {
  return m[0] * (m[4] * m[8] - m[5] * m[7]) - m[1] * (m[3] * m[8] - m[5] * m[6]) + m[2] * (m[3] * m[7] - m[4] * m[6]);
}

/// Of the inverse transposed: the cofactors over the determinant.
Matrix3 inverse_transposed(const Matrix3& m) {
  const double det = determinant(m);
  Matrix3 result;
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t i1 = (i + 1) % 3, i2 = (i + 2) % 3, j1 = (j + 1) % 3, j2 = (j + 2) % 3;
      result[3 * i + j] = (m[3 * i1 + j1] * m[3 * i2 + j2] - m[3 * i1 + j2] * m[3 * i2 + j1]) / det;
    }
  }
  return result;
}

/// The orthogonal matrix nearest to `m` (its polar factor), by Newton's iteration X <- (X + X^-T)/2, which converges
/// quadratically for every regular matrix. Source: N. J. Higham, Computing the polar decomposition, 1986.
Matrix3 nearest_orthogonal(Matrix3 m) {
  for (int iteration = 0; iteration < 100; ++iteration) {
    const Matrix3 inverse = inverse_transposed(m);
    double change = 0;
    for (std::size_t i = 0; i < 9; ++i) {
      const double next = (m[i] + inverse[i]) / 2;
      change = std::max(change, std::abs(next - m[i]));
      m[i] = next;
    }
    if (change < 1e-15) break;
  }
  return m;
}

/// NIfTI's world is RAS, ITK's LPS: the first two rows change sign.
template <typename Rows>
Rows flip_ras_lps(Rows rows, std::size_t columns) {
  for (std::size_t i = 0; i < 2 * columns; ++i) rows[i] = -rows[i] + 0.0;  // + 0.0: no -0
  return rows;
}

double millimetres_per_unit(int xyzt_units) {
  switch (xyzt_units & 7) {
    case nifti::kUnitMeter: return 1000;
    case nifti::kUnitMicrometer: return 1e-3;
    default: return 1;  // millimetres, and where nothing is said, as everybody reads it
  }
}

void require_finite(const auto& values, const char* field, const std::filesystem::path& path) {
  for (const double value : values) {
    if (!std::isfinite(value)) fail(path, fmt::format("{} is not finite: {}", field, value));
  }
}

/// |pixdim[axis]|, for the axes a volume has; a flat axis of one voxel may have 0, which is taken as 1.
double voxel_size(const NiftiHeader& header, std::size_t axis, const std::filesystem::path& path) {
  const double size = std::abs(header.pixdim[axis]);
  if (!std::isfinite(size))
    fail(path, fmt::format("pixdim[{}] is {}; expected a voxel size > 0", axis, header.pixdim[axis]));
  if (size > 0) return size;
  const std::int64_t voxels = static_cast<std::int64_t>(axis) <= header.dim[0] ? header.dim[axis] : 1;
  if (voxels > 1) fail(path, fmt::format("pixdim[{}] is 0; expected a voxel size > 0", axis));
  return 1;
}

/// A grid from an affine in NIfTI's world and units, given as its 3 x 3 part and translation.
VoxelGrid grid_from_ras(const Matrix3& linear, const Vector3& translation, const NiftiHeader& header) {
  const double unit = millimetres_per_unit(header.xyzt_units);
  VoxelGrid grid;
  grid.extent = {header.dim[3], header.dim[2], header.dim[1]};
  const Matrix3 lps = flip_ras_lps(linear, 3);
  for (std::size_t j = 0; j < 3; ++j) {
    const double length = norm(column(lps, j));
    for (std::size_t i = 0; i < 3; ++i) grid.direction[3 * i + j] = lps[3 * i + j] / length;
    // The length of a column of rounded numbers differs from the number that pixdim was rounded from, by less than 1e-6.
    const double pixdim = std::abs(header.pixdim[j + 1]);
    grid.spacing_mm[j] = unit * (std::abs(pixdim - length) < 1e-6 * length ? pixdim : length);
  }
  const Vector3 origin = flip_ras_lps(translation, 1);
  for (std::size_t i = 0; i < 3; ++i) grid.origin_mm[i] = unit * origin[i];
  return grid;
}

/// R = rotation of the unit quaternion (a, b, c, d), a >= 0 making up the length. Source: nifti1.h, "METHOD 2".
Matrix3 rotation_from_quaternion(const Vector3& bcd) {
  auto [b, c, d] = bcd;
  double a = 1 - (b * b + c * c + d * d);
  if (a < 1e-7) {  // a half turn, which rounding may have made longer than 1
    const double length = norm(bcd);
    b /= length, c /= length, d /= length;
    a = 0;
  } else {
    a = std::sqrt(a);
  }
  return {a * a + b * b - c * c - d * d, 2 * (b * c - a * d),           2 * (b * d + a * c),
          2 * (b * c + a * d),           a * a + c * c - b * b - d * d, 2 * (c * d - a * b),
          2 * (b * d - a * c),           2 * (c * d + a * b),           a * a + d * d - c * c - b * b};
}

/// b, c, d of a rotation, from the largest of the four components so that nothing cancels; the sign makes a >= 0.
Vector3 quaternion_from_rotation(const Matrix3& r) {
  const double xx = r[0], yy = r[4], zz = r[8];
  const std::array<double, 4> squares4 = {1 + xx + yy + zz, 1 + xx - yy - zz, 1 - xx + yy - zz, 1 - xx - yy + zz};
  const auto largest = static_cast<std::size_t>(std::max_element(squares4.begin(), squares4.end()) - squares4.begin());
  const double twice = std::sqrt(squares4[largest]);  // 2 x the largest component; products below are 4 x two components
  const double ab = r[7] - r[5], ac = r[2] - r[6], ad = r[3] - r[1];
  const double bc = r[1] + r[3], bd = r[2] + r[6], cd = r[5] + r[7];
  const double square = squares4[largest];
  const std::array<std::array<double, 4>, 4> rows = {
      {{square, ab, ac, ad}, {ab, square, bc, bd}, {ac, bc, square, cd}, {ad, bd, cd, square}}};
  const double sign = rows[largest][0] < 0 ? -1 : 1;
  Vector3 bcd;
  for (std::size_t i = 0; i < 3; ++i) bcd[i] = sign * rows[largest][i + 1] / (2 * twice);
  return bcd;
}

}  // namespace

VoxelGrid qform_grid(const NiftiHeader& header, const std::filesystem::path& path) {
  require_finite(header.quatern, "the quaternion of the qform", path);
  require_finite(header.qoffset, "qoffset", path);
  const double length = norm(header.quatern);
  if (length > 1 + 1e-3)
    fail(path, fmt::format("quatern_b, _c and _d of the qform have length {}; expected at most 1", length));
  Matrix3 linear = rotation_from_quaternion(header.quatern);
  const double qfac = header.pixdim[0] < 0 ? -1 : 1;
  for (std::size_t i = 0; i < 3; ++i) {
    linear[3 * i] *= voxel_size(header, 1, path);
    linear[3 * i + 1] *= voxel_size(header, 2, path);
    linear[3 * i + 2] *= voxel_size(header, 3, path) * qfac;
  }
  return grid_from_ras(linear, header.qoffset, header);
}

VoxelGrid grid_of(const NiftiHeader& header, const std::filesystem::path& path) {
  if (header.sform_code > 0) {
    const auto& s = header.srow;
    require_finite(s, "srow_x, srow_y or srow_z", path);
    const Matrix3 linear = {s[0], s[1], s[2], s[4], s[5], s[6], s[8], s[9], s[10]};
    const double lengths = norm(column(linear, 0)) * norm(column(linear, 1)) * norm(column(linear, 2));
    if (!(std::abs(determinant(linear)) > 1e-9 * lengths)) {
      fail(path, fmt::format("sform_code is {}, but srow_x, srow_y and srow_z span no volume", header.sform_code));
    }
    return grid_from_ras(linear, {s[3], s[7], s[11]}, header);
  }
  if (header.qform_code > 0) return qform_grid(header, path);
  const Matrix3 diagonal = {-voxel_size(header, 1, path), 0, 0, 0, -voxel_size(header, 2, path), 0, 0, 0,
                            voxel_size(header, 3, path)};
  return grid_from_ras(diagonal, {0, 0, 0}, header);
}

void set_sform(NiftiHeader& header, const VoxelGrid& grid) {
  const Matrix3 direction = flip_ras_lps(grid.direction, 3);
  const Vector3 origin = flip_ras_lps(grid.origin_mm, 1);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) header.srow[4 * i + j] = direction[3 * i + j] * grid.spacing_mm[j];
    header.srow[4 * i + 3] = origin[i];
  }
}

void set_qform(NiftiHeader& header, const VoxelGrid& grid) {
  Matrix3 rotation = nearest_orthogonal(flip_ras_lps(grid.direction, 3));
  const double qfac = determinant(rotation) < 0 ? -1 : 1;
  for (std::size_t i = 0; i < 3; ++i) rotation[3 * i + 2] *= qfac;
  header.pixdim[0] = qfac;
  std::copy(grid.spacing_mm.begin(), grid.spacing_mm.end(), header.pixdim.begin() + 1);
  header.quatern = quaternion_from_rotation(rotation);
  header.qoffset = flip_ras_lps(grid.origin_mm, 1);
}

double distance_in_voxels(const VoxelGrid& a, const VoxelGrid& b) {
  const Vector3 last = {static_cast<double>(a.extent.w), static_cast<double>(a.extent.h), static_cast<double>(a.extent.d)};
  const double voxel = std::min({a.spacing_mm[0], a.spacing_mm[1], a.spacing_mm[2]});
  double distance = 0;
  for (int corner = 0; corner < 8; ++corner) {
    const Vector3 index = {(corner & 1) != 0 ? last[0] : 0, (corner & 2) != 0 ? last[1] : 0,
                           (corner & 4) != 0 ? last[2] : 0};
    const Vector3 at_a = world_position(a, index);
    const Vector3 at_b = world_position(b, index);
    distance = std::max(distance, std::hypot(at_a[0] - at_b[0], at_a[1] - at_b[1], at_a[2] - at_b[2]) / voxel);
  }
  return distance;
}

}  // namespace convt3d
