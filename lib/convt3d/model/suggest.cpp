#include "convt3d/model/suggest.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace convt3d {
namespace {

char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter; }

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Row i holds the distances of a's first i letters to every prefix of b; a swap looks two rows back.
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = last[j - 1] + (lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1);
      row[j] = std::min({replaced, last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::vector<std::string_view> nearest_words(std::string_view word, std::span<const std::string_view> known,
                                            std::size_t count) {
  // The distance takes the product of the lengths: words without end, and lists of them, are not looked at.
  constexpr std::size_t kLongest = 128;
  constexpr std::size_t kMost = 4096;
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  if (word.size() > kLongest) return {};
  for (const std::string_view candidate : known.subspan(0, std::min(known.size(), kMost))) {
    if (candidate.size() <= kLongest) ranked.emplace_back(edit_distance(word, candidate), candidate);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string_view> nearest;
  for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> known) {
  const std::vector<std::string_view> nearest = nearest_words(word, known, 1);
  if (nearest.empty() || nearest.front().empty()) return "";
  if (edit_distance(word, nearest.front()) > std::max<std::size_t>(1, nearest.front().size() / 3)) return "";
  return "; did you mean \"" + std::string(nearest.front()) + "\"?";
}

std::string list_of(std::span<const std::string_view> words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " and " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace convt3d
