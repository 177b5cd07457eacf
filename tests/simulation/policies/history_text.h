// One row's story in a run, for people: its writes, and in which order each region took them.
#pragma once

#include <string>

#include <fmt/format.h>

#include "tests/resolve/policy_history.h"
#include "tests/simulation/policies/region.h"

namespace pgduet::policy_simulation {

inline std::string TextOf(const PolicyWrite& write, size_t at, const RowHistory& history) {
  std::string past;
  for (size_t other = 0; other < history.size(); ++other)
    past += write.past[other] ? fmt::format(" {}", other) : "";
  return fmt::format(
      "  {}: {} by region {} at {}, time {}, has seen{}\n     met {}\n     found {}\n"
      "     left {}\n",
      at, static_cast<char>(write.kind), write.dot.rank, write.dot.lsn.value(), write.dot.time,
      past.empty() ? " nothing" : past, testing::TextOf(write.stood), testing::TextOf(write.found),
      testing::TextOf(write.after));
}

inline std::string TextOf(const World& world, const std::vector<std::unique_ptr<Region>>& regions,
                          RowId row) {
  const RowHistory& history = world.histories.at(row);
  std::string text = "\n";
  for (size_t at = 0; at < history.size(); ++at) text += TextOf(history[at], at, history);
  for (const auto& region : regions) {
    text += fmt::format("  region {} took", region->rank);
    for (const TakenNote& note : region->database.taken()) {
      size_t at = 0;
      while (at < history.size() && !(history[at].dot == note.dot)) ++at;
      if (note.row == row) text += fmt::format(" {}{}", at, note.concurrent ? "*" : "");
    }
    text += fmt::format(
        "; shows {}; state {}\n", testing::TextOf(region->database.RowOf(row)),
        EncodeRowState(region->database.StateOf(row), world.EngineOf(row).shape().Names()));
  }
  return text;
}

}  // namespace pgduet::policy_simulation
