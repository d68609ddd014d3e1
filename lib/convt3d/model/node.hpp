#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "convt3d/base/extent.hpp"

namespace convt3d {

/// Bound on every size of a config (channels, kernel sizes, strides, margins): sums and products of a few stay in 63 bits.
inline constexpr std::int64_t kMaxSize = std::numeric_limits<std::int32_t>::max();

/// A value of a config together with its place, which every error names: `FILE: /layers/0/stride: what`. The document
/// outlives its nodes. Readers throw Error{kConfig} when the value is of another kind or out of range.
class Node {
 public:
  Node(const nlohmann::json& value, std::string file, std::string pointer = "");

  const nlohmann::json& value() const { return *value_; }
  /// The JSON pointer, "/layers/0".
  const std::string& place() const { return pointer_; }

  /// `details` follow on lines of their own.
  [[noreturn]] void fail(const std::string& what, const std::vector<std::string>& details = {}) const;
  /// "expected `expected`, found" and the value.
  [[noreturn]] void fail_expected(const std::string& expected) const;

  /// Throws unless this is an object, and for the first of its keys that is none of `known`.
  void require_object(std::span<const std::string_view> known) const;
  bool is_object() const { return value_->is_object(); }
  bool is_array() const { return value_->is_array(); }
  bool is_string() const { return value_->is_string(); }
  /// Of an object or array.
  std::size_t size() const { return value_->size(); }

  /// The member of that key, if the object has it.
  std::optional<Node> find(std::string_view key) const;
  /// Throws if the object lacks it.
  Node at(std::string_view key) const;
  /// Of an array.
  Node at(std::size_t index) const;
  /// The place of a member, be it there or not: for errors about what is missing.
  [[noreturn]] void fail_at(std::string_view key, const std::string& what,
                            const std::vector<std::string>& details = {}) const;

  bool boolean() const;
  std::string string() const;
  /// One of `words`; the error lists them.
  std::string word(std::span<const std::string_view> words) const;
  /// Any finite number.
  double number() const;
  /// A whole number written as such (2.0 is refused) within [least, most].
  std::int64_t integer(std::int64_t least, std::int64_t most = kMaxSize) const;
  /// One integer for all axes, or [D, H, W], each at most kMaxSize.
  Extent3 extent(std::int64_t least) const;

  // The member's value, or the default where it is left out.
  bool boolean_or(bool otherwise, std::string_view key) const;
  double number_or(double otherwise, std::string_view key) const;
  Extent3 extent_or(const Extent3& otherwise, std::string_view key, std::int64_t least) const;

 private:
  const nlohmann::json* value_;
  std::string file_;
  std::string pointer_;
};

}  // namespace convt3d
