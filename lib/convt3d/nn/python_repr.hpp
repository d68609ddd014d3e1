#pragma once

#include <string>

namespace convt3d {

/// repr() of a Python float: the shortest digits that give the value back, "1.0", "0.01", "1e-05", "inf".
std::string python_repr(double value);

}  // namespace convt3d
