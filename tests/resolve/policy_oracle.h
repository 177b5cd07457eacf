// What a row has to be after a set of writes, said from the rules of docs/policies.md alone: a
// function of the set, with everybody's past known, no order, no state.
//
//   members    the writes that no other one has seen
//   visible    the own row of the write that has seen all others, if there is one; else the
//   policy's counter    the sum of what each write added to what it had found set        an element
//   whose addition nobody has removed who had seen it map        for each key the newest of the
//   writes that nobody has overwritten or removed latest     the newest of the writes that changed
//   the column; max and min the highest and lowest
//              of those that no other one of them has seen
//
// "Found" is the row that the writer met; where it met none, the merged row that is not shown: an
// insert overwrites what it had seen of sets and maps. What a counter holds that no delete had seen
// comes back with the next insert. Values that are no finite number count as zero.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "tests/resolve/policy_columns.h"

namespace pgduet::testing {

class Oracle : public PolicyWrites {
 public:
  Oracle(const RowShape& shape, const std::vector<PolicyWrite>& writes)
      : PolicyWrites(shape, writes), columns_(shape, writes) {}

  std::vector<int> Members(const Taken& set) const {
    std::vector<int> members = Those(set, [](int) { return true; });
    return Maximal(members);
  }
  // The newest of the members that the write had not seen; nothing when it had seen all.
  std::optional<int> Unseen(const Taken& set, int write) const {
    std::optional<int> newest;
    for (const int member : Members(set)) {
      if (member == write || writes_[write].past[member]) continue;
      if (!newest || Newer(member, *newest)) newest = member;
    }
    return newest;
  }
  // The merged row, shown or not. In the last writer's words, where they say the same.
  RowImage Found(const Taken& set) const {
    RowImage row(shape_.columns.size(), Cell::Null());
    if (set.none()) return row;
    const std::optional<int> last = Last(set);
    for (size_t column = 0; column < row.size(); ++column) {
      row[column] = columns_.Merged(set, column);
      if (last && !writes_[*last].deletes() &&
          columns_.SayTheSame(writes_[*last].after[column], row[column], column))
        row[column] = writes_[*last].after[column];
    }
    return row;
  }
  std::optional<RowImage> Visible(const Taken& set) const {
    if (set.none()) return std::nullopt;
    const std::optional<int> last = Last(set);
    if (last && shape_.policy.kind != PolicyKind::kMerge) return RowOf(*last);
    if (shape_.policy.kind != PolicyKind::kMerge && shape_.policy.kind != PolicyKind::kCustom)
      return RowOf(Pick(set));
    if (!Lives(set)) return std::nullopt;
    if (shape_.policy.kind == PolicyKind::kCustom) return AskAboutMembers(set);
    RowImage row = Found(set);
    for (size_t column = 0; column < row.size(); ++column)
      PolicyColumns::Bound(shape_.columns[column], row[column]);
    return BreaksCheck(row) ? RowOf(Newest(Living(set))) : row;
  }
  bool Overflows(const Taken& set) const {
    RowImage row = Found(set);
    bool beyond = false;
    for (size_t column = 0; column < row.size(); ++column)
      beyond |= PolicyColumns::Bound(shape_.columns[column], row[column]);
    return beyond;
  }

 private:
  // The write that has seen all others.
  std::optional<int> Last(const Taken& set) const {
    const std::vector<int> members = Members(set);
    return members.size() == 1 ? std::optional(members.front()) : std::nullopt;
  }
  std::optional<RowImage> RowOf(int write) const {
    if (writes_[write].deletes()) return std::nullopt;
    return writes_[write].after;
  }
  std::vector<int> Living(const Taken& set) const {
    std::vector<int> living;
    for (const int member : Members(set)) {
      if (!writes_[member].deletes()) living.push_back(member);
    }
    return living;
  }
  bool Lives(const Taken& set) const {
    const size_t members = Members(set).size(), living = Living(set).size();
    if (shape_.policy.on_delete == OnDelete::kDeleteWins) return living == members;
    if (shape_.policy.on_delete == OnDelete::kUpdateWins) return living > 0;
    return !writes_[Newest(Members(set))].deletes();
  }

  int Pick(const Taken& set) const {
    std::vector<int> members = Members(set);
    const OnDelete rule = shape_.policy.on_delete;
    if (rule != OnDelete::kNewestWins) {
      const std::vector<int> living = Living(set);
      const bool to_deletes =
          rule == OnDelete::kDeleteWins ? living.size() < members.size() : living.empty();
      std::erase_if(members, [&](int one) { return writes_[one].deletes() != to_deletes; });
    }
    int best = members.front();
    for (const int one : members) best = Preferred(one, best) ? one : best;
    return best;
  }
  bool Preferred(int one, int other) const {
    switch (shape_.policy.kind) {
      case PolicyKind::kFirstWriteWins:
        return Newer(other, one);
      case PolicyKind::kRegionPriority:
        for (const Rank rank : shape_.policy.priority) {
          if (rank == writes_[other].dot.rank) return false;
          if (rank == writes_[one].dot.rank) return true;
        }
        return false;
      default:
        return Newer(one, other);
    }
  }
  std::optional<RowImage> AskAboutMembers(const Taken& set) const {
    std::vector<int> order = Members(set);
    std::sort(order.begin(), order.end(), [&](int one, int other) { return Newer(other, one); });
    std::vector<Member> members;
    for (const int one : order)
      members.push_back({writes_[one].dot, writes_[one].deletes(), RowOf(one)});
    std::vector<const Member*> pointers;
    for (const Member& member : members) pointers.push_back(&member);
    return AskFunction(pointers);
  }

  const PolicyColumns columns_;
};

}  // namespace pgduet::testing
