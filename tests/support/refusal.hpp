#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convt3d/base/error.hpp"

namespace testing_support {

/// Expects `call` to throw convt3d::Error of this kind with all of `words` in its message.
template <typename Call>
void expect_refused(const Call& call, const std::vector<std::string>& words,
                    convt3d::ErrorKind kind = convt3d::ErrorKind::kShape) {
  try {
    call();
  } catch (const convt3d::Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    for (const std::string& word : words)
      EXPECT_NE(message.find(word), std::string::npos) << "no \"" << word << "\" in: " << message;
    return;
  }
  std::string all;
  for (const std::string& word : words) all += " \"" + word + "\"";
  ADD_FAILURE() << "was taken; should have been refused with" << all;
}

}  // namespace testing_support
