#include "options.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string_view>
#include <utility>

#include "convt3d/model/suggest.hpp"
#include "exit_code.hpp"
#include "units.hpp"

namespace convt3d::app {
namespace {

using Paths = std::vector<std::filesystem::path>;

constexpr int kMostThreads = 4096;  // far more than any machine has; a slip of the finger is not a thread count

/// What CLI11 fills before it is given its types.
struct Texts {
  std::vector<std::string> inputs;
  std::string output;
  std::string manifest;
  std::string channels = "auto";
  std::string origin = "kernel";
  std::string output_type;
  std::string max_memory;
  bool help = false;
  bool version = false;
  bool list_configs = false;
  bool no_progress = false;
};

/// A flag takes no value: --json=false is a mistake.
void add_flag(CLI::App& app, const std::string& names, bool& flag) { app.add_flag(names, flag)->disable_flag_override(); }

void declare_inputs_and_outputs(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("INPUT", texts.inputs);
  app.add_option("-c,--config", options.config);
  app.add_option("-o,--output", texts.output);
  app.add_option("--suffix", options.suffix);
  app.add_option("--ext", options.extension)->check(CLI::IsMember({".nii.gz", ".nii", ".mha", ".mhd"}));
  app.add_option("--manifest", texts.manifest);
  add_flag(app, "-f,--force", options.force);
  add_flag(app, "--skip-existing", options.skip_existing);
  add_flag(app, "--fail-fast", options.fail_fast);
}

void declare_run(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("-j,--threads", options.upsample.threads)->check(CLI::Range(1, kMostThreads));
  app.add_option("--max-memory", texts.max_memory);
  app.add_option("--output-type", texts.output_type)
      ->check(CLI::IsMember({"same", "uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"}));
  app.add_option("--channels", texts.channels)->check(CLI::IsMember({"auto", "components", "time", "files"}));
  app.add_option("--origin", texts.origin)->check(CLI::IsMember({"kernel", "fov", "keep"}));
  app.add_option("--compression-level", options.upsample.compression_level)->check(CLI::Range(0, 12));
}

void declare_reports(CLI::App& app, Options& options, Texts& texts) {
  add_flag(app, "-n,--dry-run", options.dry_run);
  add_flag(app, "--json", options.json);
  add_flag(app, "-q,--quiet", options.quiet);
  add_flag(app, "-v,--verbose", options.verbose);
  add_flag(app, "--no-progress", texts.no_progress);
  add_flag(app, "--list-configs", texts.list_configs);
  add_flag(app, "--version", texts.version);
  add_flag(app, "-h,--help", texts.help);
}

/// CLI11 says "--output: ..." of an option without its value, or given twice, and "json was given ..." of --json=no.
std::string mismatch(const std::string& text) {
  const bool flag = !text.starts_with('-');
  return fmt::format("{}{}: {}\n  convt3d --help says what is expected", flag ? "--" : "",
                     text.substr(0, text.find_first_of(": ")),
                     flag ? "takes no value" : "takes one value, and is given once");
}

/// Refuses what CLI11 could not place, with the option that may have been meant.
void refuse_unknown(const CLI::App& app) {
  std::vector<std::string> unknown = app.remaining();
  std::erase(unknown, "--");  // which only says that inputs follow
  if (unknown.empty()) return;
  const std::string word = unknown.front().substr(0, unknown.front().find('='));
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  const std::vector<std::string_view> known(names.begin(), names.end());
  throw UsageError(fmt::format("{}: no such option{}\n  convt3d --help lists them", word, did_you_mean(word, known)));
}

void refuse_stream(std::string_view option, const std::string& value) {
  if (value != "-") return;
  throw UsageError(fmt::format("{} -: standard input and output are not supported; name a file", option));
}

/// CLI11 gives an option the word after it, even where that is the next option.
void refuse_option_as_value(std::string_view option, const std::string& value) {
  refuse_stream(option, value);
  if (value.starts_with('-')) {
    throw UsageError(fmt::format("{0}: needs a value, found the option {1}\n  write ./{1} if a file of that name is meant",
                                 option, value));
  }
}

void refuse_both(bool a, std::string_view name_a, bool b, std::string_view name_b, std::string_view why) {
  if (a && b) throw UsageError(fmt::format("{} and {} exclude each other: {}", name_a, name_b, why));
}

/// An option that was given, but says nothing.
void refuse_empty(const CLI::App& app) {
  for (const char* name : {"--config", "--output", "--manifest", "--max-memory", "INPUT"}) {
    const CLI::Option* option = app[name];
    for (const std::string& value : option->results()) {
      if (value.empty()) throw UsageError(fmt::format("{}: is empty; give a value, or leave it out", name));
    }
  }
}

void take_texts(const Texts& texts, Options& options) {
  for (const std::string& input : texts.inputs) {
    refuse_stream("INPUT", input);
    options.inputs.emplace_back(input);
  }
  refuse_option_as_value("--output", texts.output);
  refuse_option_as_value("--config", options.config);
  refuse_option_as_value("--manifest", texts.manifest);
  options.output = texts.output;
  options.manifest = texts.manifest;
  options.progress = !texts.no_progress;
  options.upsample.channels = channel_mode_from_name(texts.channels).value();
  options.upsample.origin = origin_mode_from_name(texts.origin).value();
  options.upsample.output_same = texts.output_type == "same";
  options.upsample.output_type = dtype_from_name(texts.output_type);
  if (texts.max_memory.empty()) return;
  options.upsample.limit_bytes = parse_size(texts.max_memory);
  if (!options.upsample.limit_bytes) {
    throw UsageError(
        fmt::format("--max-memory {}: no size in bytes; write for example 500MB, 2GiB or 2147483648", texts.max_memory));
  }
}

void require_consistent(const Options& options) {
  refuse_both(options.force, "--force", options.skip_existing, "--skip-existing", "replace existing outputs, or leave them");
  refuse_both(options.quiet, "--quiet", options.verbose, "--verbose", "say less, or more");
  if (options.suffix.find('/') != std::string::npos) {
    throw UsageError(fmt::format("--suffix {}: is a part of a file's name, which has no /", options.suffix));
  }
  const bool manifest = !options.manifest.empty();
  refuse_both(manifest, "--manifest", !options.inputs.empty(), "INPUT", "the manifest names the inputs");
  refuse_both(manifest, "--manifest", !options.output.empty(), "--output", "the manifest names the outputs");
  refuse_both(manifest, "--manifest", options.names_outputs, "--suffix or --ext", "the manifest names the outputs");
  if (manifest) return;
  if (options.inputs.empty()) {
    throw UsageError(
        "no INPUT given\n  for example: convt3d scan.nii.gz -c trilinear_x2 -o up.nii.gz\n"
        "  convt3d --help says more");
  }
  if (options.config.empty()) {
    throw UsageError("no config given: add -c FILE, or -c NAME of a shipped one\n  convt3d --list-configs lists them");
  }
  if (options.output.empty() && !options.dry_run) {
    throw UsageError(
        "no output given: add -o FILE, or -o FOLDER for several inputs\n"
        "  with --dry-run none is needed");
  }
}

}  // namespace

Options parse_options(int argc, const char* const* argv) {
  Options options;
  Texts texts;
  CLI::App app;
  app.set_help_flag();  // help.cpp writes the help
  app.allow_extras();   // refuse_unknown says more than CLI11 does
  declare_inputs_and_outputs(app, options, texts);
  declare_run(app, options, texts);
  declare_reports(app, options, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    throw UsageError(mismatch(error.what()));
  } catch (const CLI::ParseError& error) {
    throw UsageError(fmt::format("{}\n  convt3d --help says what is expected", error.what()));
  }
  refuse_unknown(app);
  for (const auto& [asked, request] : {std::pair{texts.help, Request::kHelp},
                                       {texts.version, Request::kVersion},
                                       {texts.list_configs, Request::kListConfigs}}) {
    if (!asked) continue;
    options.request = request;
    return options;
  }
  refuse_empty(app);
  options.names_outputs = app.count("--suffix") + app.count("--ext") > 0;
  take_texts(texts, options);
  require_consistent(options);
  return options;
}

}  // namespace convt3d::app
