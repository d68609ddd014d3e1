#pragma once

#include <string>

namespace convt3d::app {

/// What --help prints: usage, examples, every option, exit codes and the shipped configs.
std::string help_text();

}  // namespace convt3d::app
