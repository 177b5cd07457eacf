// The changes of one apply transaction, grouped by key; a truncate ends a segment.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "tests/simulation/region.h"

namespace pgduet::simulation {

struct KeyStep {
  size_t unit = 0;  // which source transaction
  ChangeKind kind = ChangeKind::kInsert;
  uint64_t value = 0;
};

enum class NetEffect { kDelete, kUpdate, kInsert, kTransient };

struct KeyGroup {
  Key key = 0;
  std::vector<KeyStep> steps;
  NetEffect net() const {
    const bool was_there = steps.front().kind != ChangeKind::kInsert;
    const bool is_there = steps.back().kind != ChangeKind::kDelete;
    if (was_there) return is_there ? NetEffect::kUpdate : NetEffect::kDelete;
    return is_there ? NetEffect::kInsert : NetEffect::kTransient;
  }
  bool deletes() const { return net() == NetEffect::kDelete || net() == NetEffect::kTransient; }
};

struct Segment {
  std::vector<KeyGroup> groups;
  std::optional<size_t> truncating_unit;
};

inline std::vector<Segment> GroupChanges(const std::vector<Record>& units) {
  std::vector<Segment> segments(1);
  for (size_t unit = 0; unit < units.size(); ++unit) {
    for (const RowWrite& change : units[unit].changes) {
      if (change.kind == ChangeKind::kTruncate) {
        segments.back().truncating_unit = unit;
        segments.emplace_back();
        continue;
      }
      std::vector<KeyGroup>& groups = segments.back().groups;
      auto at = std::find_if(groups.begin(), groups.end(),
                             [&](const KeyGroup& group) { return group.key == change.key; });
      if (at == groups.end()) at = groups.insert(at, {.key = change.key, .steps = {}});
      at->steps.push_back({unit, change.kind, change.value});
    }
  }
  return segments;
}

}  // namespace pgduet::simulation
