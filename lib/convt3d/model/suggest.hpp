#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace convt3d {

/// Edits (insert, delete, replace or swap two neighbours) that turn one word into the other, ASCII case ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// `; did you mean "stride"?` with the nearest of `known`, if it is near: at most a third of its letters away, and at least
/// one edit is allowed. Empty where none is.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known);

/// At most `count` of `known`, the nearest to `word` first.
std::vector<std::string_view> nearest_words(std::string_view word, std::span<const std::string_view> known,
                                            std::size_t count);

/// "a, b and c"
std::string list_of(std::span<const std::string_view> words);

}  // namespace convt3d
