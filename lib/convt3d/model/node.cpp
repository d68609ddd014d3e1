#include "convt3d/model/node.hpp"

#include <utility>

#include "convt3d/base/error.hpp"
#include "convt3d/model/json.hpp"
#include "convt3d/model/suggest.hpp"

namespace convt3d {
namespace {

/// `the string "4"`, `an array of 2`: short, whatever the value.
std::string found(const nlohmann::json& value) {
  constexpr std::size_t kLongest = 40;
  switch (value.type()) {
    case nlohmann::json::value_t::null: return "null";
    case nlohmann::json::value_t::object: return "an object";
    case nlohmann::json::value_t::array: return "an array of " + std::to_string(value.size());
    case nlohmann::json::value_t::string: {
      const std::string text = value.dump(-1, ' ', true);  // in ASCII, so that it may be cut anywhere
      return "the string " + (text.size() <= kLongest ? text : text.substr(0, kLongest) + "...\"");
    }
    default: return value.dump();
  }
}

}  // namespace

Node::Node(const nlohmann::json& value, std::string file, std::string pointer)
    : value_(&value), file_(std::move(file)), pointer_(std::move(pointer)) {}

void Node::fail(const std::string& what, const std::vector<std::string>& details) const {
  std::string message = file_ + ": " + (pointer_.empty() ? "" : pointer_ + ": ") + what;
  for (const std::string& detail : details) message += "\n  " + detail;
  throw Error(ErrorKind::kConfig, message);
}

void Node::fail_expected(const std::string& expected) const { fail("expected " + expected + ", found " + found(*value_)); }

void Node::require_object(std::span<const std::string_view> known) const {
  if (!is_object()) fail_expected("an object");
  for (const auto& [key, member] : value_->items()) {
    bool is_known = false;
    for (const std::string_view one : known) is_known = is_known || one == key;
    if (is_known) continue;
    fail_at(key, "unknown key" + did_you_mean(key, known), {"known here: " + list_of(known)});
  }
}

std::optional<Node> Node::find(std::string_view key) const {
  const auto member = value_->find(key);
  if (member == value_->end()) return std::nullopt;
  return Node(*member, file_, pointer_to(pointer_, key));
}

Node Node::at(std::string_view key) const {
  const std::optional<Node> member = find(key);
  if (!member) fail_at(key, "this key is missing");
  return *member;
}

Node Node::at(std::size_t index) const { return {(*value_)[index], file_, pointer_to(pointer_, std::to_string(index))}; }

void Node::fail_at(std::string_view key, const std::string& what, const std::vector<std::string>& details) const {
  Node(*value_, file_, pointer_to(pointer_, key)).fail(what, details);
}

bool Node::boolean() const {
  if (!value_->is_boolean()) fail_expected("true or false");
  return value_->get<bool>();
}

std::string Node::string() const {
  if (!is_string()) fail_expected("a string");
  return value_->get<std::string>();
}

std::string Node::word(std::span<const std::string_view> words) const {
  if (!is_string()) fail_expected("one of " + list_of(words));
  const std::string text = string();
  for (const std::string_view one : words) {
    if (one == text) return text;
  }
  fail("expected one of " + list_of(words) + ", found " + found(*value_) + did_you_mean(text, words));
}

double Node::number() const {
  if (!value_->is_number()) fail_expected("a number");
  return value_->get<double>();
}

std::int64_t Node::integer(std::int64_t least, std::int64_t most) const {
  const std::string expected = "an integer from " + std::to_string(least) + " to " + std::to_string(most);
  if (!value_->is_number_integer()) fail_expected(expected);
  // What fits 64 bits only without a sign would turn negative here.
  const bool past_63_bits = value_->is_number_unsigned() && value_->get<std::uint64_t>() > std::uint64_t{INT64_MAX};
  const std::int64_t value = past_63_bits ? 0 : value_->get<std::int64_t>();
  if (past_63_bits || value < least || value > most) fail_expected(expected);
  return value;
}

Extent3 Node::extent(std::int64_t least) const {
  if (value_->is_number()) return {integer(least)};
  if (!is_array() || size() != 3) fail_expected("an integer or [D, H, W]");
  return {at(std::size_t{0}).integer(least), at(1).integer(least), at(2).integer(least)};
}

bool Node::boolean_or(bool otherwise, std::string_view key) const {
  const std::optional<Node> member = find(key);
  return member ? member->boolean() : otherwise;
}

double Node::number_or(double otherwise, std::string_view key) const {
  const std::optional<Node> member = find(key);
  return member ? member->number() : otherwise;
}

Extent3 Node::extent_or(const Extent3& otherwise, std::string_view key, std::int64_t least) const {
  const std::optional<Node> member = find(key);
  return member ? member->extent(least) : otherwise;
}

}  // namespace convt3d
