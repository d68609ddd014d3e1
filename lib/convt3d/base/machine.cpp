#include "convt3d/base/machine.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <utility>

#include "convt3d/base/error.hpp"

namespace convt3d {
namespace {

constexpr std::array<std::pair<Isa, std::string_view>, 5> kIsaNames = {{{Isa::kBaseline, "baseline"},
                                                                        {Isa::kSse4, "sse4"},
                                                                        {Isa::kAvx2, "avx2"},
                                                                        {Isa::kAvx512, "avx512"},
                                                                        {Isa::kNeon, "neon"}}};

int affinity_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
}

/// CPUs that a quota file grants, rounded up; 0 where there is no quota. cgroup v2: "<quota|max> <period>" in one file.
int quota_cpus(double quota, double period) {
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>(std::ceil(quota / period))) : 0;
}

int smaller_quota(int a, int b) { return a == 0 ? b : b == 0 ? a : std::min(a, b); }

/// The process's own group and every group above it may hold a quota; the smallest counts.
int cgroup_cpus() {
  std::ifstream groups("/proc/self/cgroup");
  int least = 0;
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && controllers.find("cpu") == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    for (;;) {
      if (v2) {
        std::ifstream file("/sys/fs/cgroup" + path + "/cpu.max");
        std::string quota;
        double period = 0;
        if (file >> quota >> period && quota != "max")
          least = smaller_quota(least, quota_cpus(std::atof(quota.c_str()), period));
      } else {
        std::ifstream quota_file("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_quota_us");
        std::ifstream period_file("/sys/fs/cgroup/cpu" + path + "/cpu.cfs_period_us");
        double quota = 0;
        double period = 0;
        if (quota_file >> quota && period_file >> period) least = smaller_quota(least, quota_cpus(quota, period));
      }
      if (path.empty() || path == "/") break;
      path = path.substr(0, path.rfind('/'));
    }
  }
  return least;
}

/// A positive count in an environment variable, the first of a list ("4,2"); 0 where it is unset or no number.
int environment_cpus(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 0;
  const long value = std::strtol(text, nullptr, 10);
  return value > 0 && value < 1 << 20 ? static_cast<int>(value) : 0;
}

/// Of the cache that serves data at a level, as Linux tells of the first CPU. sysconf, which asks the processor, is the
/// second choice: in virtual machines it may tell of the whole host's.
std::int64_t cache_bytes(int level, int name, std::int64_t fallback) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    std::ifstream levels(folder + "level"), types(folder + "type"), sizes(folder + "size");
    int found = 0;
    std::string type;
    std::int64_t kibibytes = 0;
    const bool is_it = levels >> found && types >> type && found == level && type != "Instruction";
    if (is_it && sizes >> kibibytes && sizes.get() == 'K' && kibibytes > 0) return kibibytes << 10;
  }
  const long bytes = sysconf(name);
  return bytes > 0 ? bytes : fallback;
}

Isa chosen_isa() {
  const std::vector<Isa> isas = available_isas();
  const char* wanted = std::getenv("CONVT3D_ISA");
  if (wanted == nullptr || *wanted == '\0') return isas.back();
  const std::optional<Isa> isa = isa_from_name(wanted);
  if (isa && std::find(isas.begin(), isas.end(), *isa) != isas.end()) return *isa;
  std::string have;
  for (const Isa one : isas) have += (have.empty() ? "" : ", ") + std::string(name_of(one));
  throw Error(ErrorKind::kConfig, "CONVT3D_ISA=" + std::string(wanted) + ": this machine has " + have);
}

}  // namespace

std::string_view name_of(Isa isa) { return kIsaNames[static_cast<std::size_t>(isa)].second; }

std::optional<Isa> isa_from_name(std::string_view name) {
  for (const auto& [isa, its_name] : kIsaNames) {
    if (its_name == name) return isa;
  }
  return std::nullopt;
}

std::vector<Isa> available_isas() {
  std::vector<Isa> isas = {Isa::kBaseline};
#if defined(__x86_64__)
  // The same features that the kernels' compiler flags name; the operating system's support is part of the builtin's answer.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) isas.push_back(Isa::kSse4);
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    isas.push_back(Isa::kAvx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
      isas.push_back(Isa::kAvx512);
    }
  }
#elif defined(__aarch64__)
  isas.push_back(Isa::kNeon);
#endif
  return isas;
}

Machine Machine::detect() {
  Machine machine;
  machine.isa = chosen_isa();
#if defined(__x86_64__)
  machine.bfloat16 = machine.isa == Isa::kAvx512 && __builtin_cpu_supports("avx512bf16");
#endif
  machine.threads = affinity_cpus();
  machine.threads_limited_by = "affinity";
  const std::array<std::pair<int, const char*>, 3> limits = {
      {{cgroup_cpus(), "cgroup quota"},
       {environment_cpus("OMP_NUM_THREADS"), "OMP_NUM_THREADS"},
       {environment_cpus("SLURM_CPUS_PER_TASK"), "SLURM_CPUS_PER_TASK"}}};
  for (const auto& [cpus, by] : limits) {
    if (cpus > 0 && cpus < machine.threads) {
      machine.threads = cpus;
      machine.threads_limited_by = by;
    }
  }
  machine.l1_bytes = cache_bytes(1, _SC_LEVEL1_DCACHE_SIZE, machine.l1_bytes);
  machine.l2_bytes = cache_bytes(2, _SC_LEVEL2_CACHE_SIZE, machine.l2_bytes);
  machine.l3_bytes = cache_bytes(3, _SC_LEVEL3_CACHE_SIZE, machine.l3_bytes);
  return machine;
}

}  // namespace convt3d
