#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <string_view>

#include "exit_code.hpp"
#include "inspect.hpp"

namespace convt3d::app {
namespace {

/// "8,16,16"
std::vector<std::int64_t> parse_shape(const std::string& text) {
  std::vector<std::int64_t> shape;
  std::string_view rest = text;
  while (shape.size() < 6) {
    std::int64_t size = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
    if (error != std::errc() || size < 1) break;
    shape.push_back(size);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    if (!rest.starts_with(',')) break;
    rest.remove_prefix(1);
    if (rest.empty()) break;
  }
  if (rest.empty() && !text.ends_with(',') && shape.size() >= 3 && shape.size() <= 5) return shape;
  throw UsageError(fmt::format("--shape {}: expected D,H,W or C,D,H,W or N,C,D,H,W, for example 32,64,64", text));
}

}  // namespace

bool asks_to_inspect(int argc, const char* const* argv) { return argc > 1 && std::string_view(argv[1]) == "inspect"; }

InspectOptions parse_inspect_options(int argc, const char* const* argv) {
  InspectOptions options;
  std::string shape;
  std::string output;
  std::vector<std::string> files;
  CLI::App app;
  app.set_help_flag();
  app.add_option("FILE", files);
  app.add_option("--shape", shape);
  app.add_option("--prefix", options.prefix);
  app.add_option("-o,--output", output);
  for (const auto& [names, flag] : {std::pair{"--json", &options.json},
                                    {"-v,--verbose", &options.values},
                                    {"-q,--quiet", &options.quiet},
                                    {"-h,--help", &options.help},
                                    {"--make-config", &options.make_config},
                                    {"-f,--force", &options.force}}) {
    app.add_flag(names, *flag)->disable_flag_override();
  }
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{}\n  convt3d inspect --help says what is expected", error.what()));
  }
  if (options.help) return options;
  if (files.size() != 1 || files.front().empty()) {
    throw UsageError("inspect takes one file\n  for example: convt3d inspect decoder.safetensors");
  }
  options.file = files.front();
  options.output = output;
  if (!shape.empty()) options.shape = parse_shape(shape);
  const bool drafts = !options.prefix.empty() || !output.empty() || options.force;
  if (drafts && !options.make_config) throw UsageError("--prefix, --output and --force belong to --make-config");
  if (options.make_config && (options.json || !options.shape.empty())) {
    throw UsageError("--make-config writes a config, and takes neither --json nor --shape");
  }
  return options;
}

}  // namespace convt3d::app
