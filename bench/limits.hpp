#pragma once

namespace convt3d::bench {

/// What the machine can do at best, measured.
struct Limits {
  int threads = 1;
  double fma_flops = 0;    ///< float32 multiplications and additions per second, from registers
  double read_bytes = 0;   ///< bytes per second from memory
  double write_bytes = 0;  ///< bytes per second to memory, with non-temporal stores
};

/// Takes about a third of a second.
Limits measure_limits(int threads);

}  // namespace convt3d::bench
