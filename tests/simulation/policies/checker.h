// What must be true of the regions: everywhere the rows that the oracle gives for the writes that
// the region has, at every quiet moment; in the end, everything everywhere, once, in causal order,
// and each conflict reported where it was met.
#pragma once

#include <fmt/format.h>

#include "tests/simulation/policies/history_text.h"

namespace pgduet::policy_simulation {

class Checker {
 public:
  explicit Checker(World& world) : world_(world) {}

  // The region has decoded all of its own writes, and nothing is under way.
  static bool Quiet(Region& region) {
    return !region.database.AnyRunning() && region.memory.decoded == region.database.end();
  }

  // Regions that have the same vector are held against the same oracle.
  void CheckNow(Region& region) const {
    if (!Quiet(region)) return;
    const AppliedVector vector = region.Applied();
    for (const auto& [row, history] : world_.histories) {
      testing::Taken set;
      for (size_t at = 0; at < history.size(); ++at) {
        if (history[at].dot.CoveredBy(vector)) set.set(at);
      }
      CheckRow(region, row, testing::Oracle(world_.EngineOf(row).shape(), history), set);
    }
  }

  void CheckEnd(Region& region) const {
    CheckNow(region);
    std::map<RowId, testing::Taken> taken;
    for (const TakenNote& note : region.database.taken()) {
      const RowHistory& history = world_.histories.at(note.row);
      size_t write = 0;
      while (!(history[write].dot == note.dot)) ++write;
      testing::Taken& set = taken[note.row];
      if (set[write]) Fail(region, note.row, "taken twice");
      if ((history[write].past & ~set).any()) Fail(region, note.row, "causal order");
      set.set(write);
      const testing::Oracle oracle(world_.EngineOf(note.row).shape(), history);
      const bool concurrent = oracle.Unseen(set, static_cast<int>(write)).has_value();
      if (concurrent && !note.concurrent) Fail(region, note.row, "silent conflict");
      if (!concurrent && note.concurrent) Fail(region, note.row, "false conflict");
    }
    for (const auto& [row, history] : world_.histories) {
      if (taken[row].count() != history.size()) Fail(region, row, "not everything arrived");
    }
  }

 private:
  [[noreturn]] void Fail(const Region& region, RowId row, const std::string& what) const {
    const TablePolicy& policy = world_.EngineOf(row).shape().policy;
    throw Violation(fmt::format("{}: region {} table {} ({} {}) key {}", what, region.rank,
                                row.first, PolicyName(policy.kind), OnDeleteName(policy.on_delete),
                                row.second) +
                    TextOf(world_, region.all, row));
  }

  void CheckRow(Region& region, RowId row, const testing::Oracle& oracle,
                const testing::Taken& set) const {
    const auto shows = region.database.RowOf(row);
    const auto wanted = oracle.Visible(set);
    if (shows != wanted)
      Fail(region, row,
           fmt::format("shows {}, not {}", testing::TextOf(shows), testing::TextOf(wanted)));
    const RowState state = region.database.StateOf(row);
    const std::vector<int> members = oracle.Members(set);
    if (state.members.empty()) {
      const bool siblings = members.size() > 1;
      if (siblings && world_.EngineOf(row).shape().policy.KeepsSiblings())
        Fail(region, row, "the siblings are gone");
      return;
    }
    if (!SameMembers(state, members, world_.histories.at(row))) Fail(region, row, "other members");
  }

  // A state may have forgotten what was stable; what it has, and more than one, it has whole.
  static bool SameMembers(const RowState& state, const std::vector<int>& members,
                          const RowHistory& history) {
    size_t found = 0;
    for (const Member& member : state.members) {
      for (const int one : members) {
        const PolicyWrite& write = history[one];
        if (!(write.dot == member.dot)) continue;
        if (write.deletes() != member.deleted) return false;
        if (state.members.size() > 1 && !member.deleted && member.row != write.after) return false;
        ++found;
      }
    }
    return found == state.members.size() && found == members.size();
  }

  World& world_;
};

}  // namespace pgduet::policy_simulation
