// A history of a policy, and whether all of its regions end as the oracle says.
#pragma once

#include <optional>
#include <ostream>
#include <string>

#include "tests/resolve/policy_delivery.h"

namespace pgduet::testing {

struct Rule {
  PolicyKind kind;
  OnDelete on_delete;
};
inline void PrintTo(const Rule& rule, std::ostream* out) {
  *out << PolicyName(rule.kind) << "_" << OnDeleteName(rule.on_delete);
}

inline PolicyHistory HistoryOf(uint64_t seed, const Rule& rule, int writes_max) {
  Chance chance(seed);
  const int regions = 2 + static_cast<int>(chance.Below(4));
  const int count = 2 + static_cast<int>(chance.Below(writes_max - 1));
  const RowShape shape = rule.kind == PolicyKind::kMerge
                             ? MergeShape(rule.on_delete)
                             : PickShape(rule.kind, rule.on_delete, regions);
  return RandomPolicyHistory(seed, shape, regions, count);
}

// A random order at each region, and at one that writes nothing.
inline std::optional<std::string> CheckSeed(uint64_t seed, const Rule& rule, const Subject& subject,
                                            DeliveryOptions options) {
  const PolicyHistory history = HistoryOf(seed, rule, 9);
  Chance chance(seed);
  for (Rank region = 0; region <= history.regions; ++region) {
    const Order order = RandomOrder(chance, history, region);
    const auto wrong = CheckOrder(history, order, subject, options, seed + region);
    if (wrong) return fmt::format("seed {}: {}", seed, *wrong);
  }
  return std::nullopt;
}

}  // namespace pgduet::testing
