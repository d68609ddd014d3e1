#include "console.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "signals.hpp"

namespace convt3d::app {
namespace {

constexpr std::chrono::seconds kPatience{1};                // work shorter than that shows no bar
constexpr std::chrono::milliseconds kBetweenDrawings{100};  // ten a second look like movement

constexpr std::string_view kRed = "\033[1;31m";
constexpr std::string_view kYellow = "\033[1;33m";
constexpr std::string_view kPlain = "\033[0m";
constexpr std::string_view kEraseLine = "\r\033[K";

bool colours_wanted() {
  const char* const no_color = std::getenv("NO_COLOR");
  const char* const term = std::getenv("TERM");
  return (no_color == nullptr || *no_color == '\0') && term != nullptr && std::string_view(term) != "dumb";
}

int terminal_columns() {
  struct winsize size = {};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void write_error(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

std::string message(std::string_view text) {
  std::string result = "convt3d: ";
  for (std::size_t i = 0; i < text.size(); ++i) {
    // A damaged or hostile file's words may be quoted: a terminal must not take them for commands.
    const auto byte = static_cast<unsigned char>(text[i]);
    result += (byte < ' ' && byte != '\n') || byte == 0x7f ? '?' : text[i];
    if (text[i] == '\n' && i + 1 < text.size() && text[i + 1] != ' ') result += "  ";
  }
  return result + "\n";
}

Console::Console() : terminal_(isatty(STDERR_FILENO) == 1), colour_(terminal_ && colours_wanted()) {}

void Console::set_progress(bool progress) { progress_ = progress && terminal_; }

void Console::say(std::string_view what, std::string_view colour, std::string_view text) {
  const std::lock_guard lock(mutex_);
  erase();
  const std::string line = message(fmt::format("{}{}", what, text));
  constexpr std::size_t kName = std::string_view("convt3d:").size();
  write_error(colour_ ? fmt::format("{}{}{}{}", colour, line.substr(0, kName), kPlain, line.substr(kName)) : line);
}

void Console::error(std::string_view text) { say("", kRed, text); }

void Console::warning(std::string_view text) {
  if (!quiet_) say("warning: ", kYellow, text);
}

void Console::note(std::string_view text) {
  if (!quiet_) say("note: ", kPlain, text);
}

void Console::start(std::string subject) {
  const std::lock_guard lock(mutex_);
  subject_ = std::move(subject);
  stage_.clear();
  started_ = Clock::now();
}

void Console::finish() {
  const std::lock_guard lock(mutex_);
  erase();
  subject_.clear();
}

void Console::stage(std::string_view name) {
  const std::lock_guard lock(mutex_);
  stage_ = name;
  drawn_fraction_ = 0;
}

void Console::progress(double fraction) {
  if (!progress_) return;
  const std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  if (subject_.empty() || now - started_ < kPatience || now - drawn_at_ < kBetweenDrawings) return;
  drawn_at_ = now;
  draw(std::clamp(fraction, drawn_fraction_, 1.0));  // threads report in any order; the bar never goes back
}

bool Console::stop_requested() const { return stop_signal() != 0; }

/// "scan.nii.gz  computing  [##########          ]  50 %", cut to the terminal's width.
void Console::draw(double fraction) {
  constexpr int kCells = 30;
  const auto full = static_cast<std::size_t>(fraction * kCells);
  const std::string bar = std::string(full, '#') + std::string(kCells - full, ' ');
  const std::string line = fmt::format("{:<9} [{}] {:3.0f} %  {}", stage_, bar, 100 * fraction, subject_);
  write_error(kEraseLine);
  write_error(line.substr(0, static_cast<std::size_t>(terminal_columns() - 1)));
  drawn_ = true;
  drawn_fraction_ = fraction;
}

void Console::erase() {
  if (std::exchange(drawn_, false)) write_error(kEraseLine);
}

}  // namespace convt3d::app
