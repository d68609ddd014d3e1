#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace convt3d {

/// Instruction sets the kernels are built for, each one better than the one before it.
enum class Isa { kBaseline, kSse4, kAvx2, kAvx512, kNeon };

/// "baseline", "sse4", "avx2", "avx512", "neon"
std::string_view name_of(Isa isa);
std::optional<Isa> isa_from_name(std::string_view name);

/// What a plan depends on, as a value: a plan for a machine can be made, printed and tested on any other.
struct Machine {
  Isa isa = Isa::kBaseline;
  bool bfloat16 = false;             ///< multiplies pairs of bfloat16 (AVX-512 BF16)
  int threads = 1;                   ///< CPUs this process may use
  std::string threads_limited_by;    ///< "affinity", "cgroup quota", "OMP_NUM_THREADS" or "SLURM_CPUS_PER_TASK"
  std::int64_t l1_bytes = 32 << 10;  ///< data cache of a core
  std::int64_t l2_bytes = 1 << 20;   ///< of a core
  std::int64_t l3_bytes = 32 << 20;  ///< shared

  /// The machine this runs on: threads is the smallest of affinity, cgroup quota, OMP_NUM_THREADS and SLURM_CPUS_PER_TASK.
  /// CONVT3D_ISA=sse4|avx2|... lowers the instruction set (tests, benchmarks); Error{kConfig} if the machine lacks it.
  static Machine detect();

  friend bool operator==(const Machine&, const Machine&) = default;
};

/// Instruction sets of this machine, worst first.
std::vector<Isa> available_isas();

}  // namespace convt3d
