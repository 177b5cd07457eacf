#include "agent/config_keys.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "agent/config_settings.h"

namespace pgduet {
namespace {

// They get a better answer than "unknown key".
const std::set<std::string_view> kLater = {"tables/*/owner", "tables/*/on_error",
                                           "tables/*/on_unique"};

size_t EditDistance(std::string_view left, std::string_view right) {
  std::vector<size_t> row(right.size() + 1);
  for (size_t at = 0; at <= right.size(); ++at) row[at] = at;
  for (size_t i = 1; i <= left.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= right.size(); ++j) {
      const size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[right.size()];
}

}  // namespace

std::vector<std::string_view> KeysUnder(std::string_view path) {
  std::vector<std::string_view> keys;
  for (const Setting& setting : Settings()) {
    std::string_view rest = setting.path;
    if (!path.empty()) {
      if (!rest.starts_with(path) || rest.size() <= path.size() || rest[path.size()] != '/')
        continue;
      rest.remove_prefix(path.size() + 1);
    }
    if (rest.find('/') == std::string_view::npos) keys.push_back(rest);
  }
  return keys;
}

bool IsLaterKey(std::string_view path) { return kLater.count(path) > 0; }

std::string KeyRemedy(std::string_view key, const std::vector<std::string_view>& known) {
  const auto nearest = std::min_element(known.begin(), known.end(),
                                        [&](std::string_view left, std::string_view right) {
                                          return EditDistance(key, left) < EditDistance(key, right);
                                        });
  if (nearest != known.end() && EditDistance(key, *nearest) <= 2) {
    return fmt::format("did you mean '{}'?", *nearest);
  }
  return fmt::format("the keys here are: {}", fmt::join(known, ", "));
}

}  // namespace pgduet
