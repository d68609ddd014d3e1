#pragma once

#include <string>

#include "convt3d/base/error.hpp"
#include "convt3d/upsample/upsample.hpp"

namespace convt3d {

/// What `step` returns; an Error that it throws, such as a layer's, which knows no files, gets the input's path in front.
template <typename Step>
auto about_input(const UpsamplePlan& plan, const Step& step) {
  try {
    return step();
  } catch (const Error& error) {
    throw Error(error.kind(), plan.inputs.front().path.string() + ": " + error.what());
  }
}

}  // namespace convt3d
