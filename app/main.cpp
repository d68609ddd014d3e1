#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "batch.hpp"
#include "console.hpp"
#include "convt3d/base/error.hpp"
#include "exit_code.hpp"
#include "help.hpp"
#include "inspect.hpp"
#include "jobs.hpp"
#include "options.hpp"
#include "report.hpp"
#include "signals.hpp"

namespace convt3d::app {
namespace {

/// stdout is data: what cannot be written there is lost, and that is an error.
void print(const std::string& text) {
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written) throw Error(ErrorKind::kOutput, "the report cannot be written to standard output");
}

int upsample(const Options& options, Console& console) {
  const std::vector<Job> jobs = make_jobs(options);
  const bool for_people = !options.json && !options.quiet;
  bool headed = false;
  const BatchResult batch = run_batch(options, jobs, console, [&](const BatchResult& so_far, const JobResult& job) {
    if (!for_people) return;
    if (!std::exchange(headed, true)) print(heading(so_far));
    print(describe(job, options));
  });
  if (options.json) print(report_json(batch));
  if (for_people && jobs.size() != 1) print(summary(batch));
  return exit_code_of(batch);
}

int answer(const Options& options, Console& console) {
  switch (options.request) {
    case Request::kHelp: print(help_text()); break;
    case Request::kVersion: print("convt3d " CONVT3D_VERSION "\n"); break;
    case Request::kListConfigs: print(list_configs(options.json)); break;
    case Request::kUpsample: return upsample(options, console);
  }
  return kDone;
}

int answer(const InspectOptions& options, Console& console) {
  console.set_quiet(options.quiet);
  print(inspect(options, console));
  return kDone;
}

}  // namespace
}  // namespace convt3d::app

int main(int argc, char** argv) {
  using namespace convt3d::app;
  install_signal_handlers();
  Console console;
  try {
    if (asks_to_inspect(argc, argv)) return answer(parse_inspect_options(argc, argv), console);
    const Options options = parse_options(argc, argv);
    console.set_quiet(options.quiet);
    console.set_progress(options.progress && !options.quiet);
    return answer(options, console);
  } catch (...) {
    const Failure failure = current_failure();
    console.finish();
    console.error(failure.message);
    return failure.exit_code;
  }
}
