#include "resolve/row_engine.h"

#include <algorithm>

#include "resolve/merge/column_merge.h"
#include "resolve/merge/row_merge.h"
#include "resolve/policy_registry.h"

namespace pgduet {
namespace {

bool Newer(const Member& left, const Member& right) {
  return left.dot.version() < right.dot.version();
}

// Absent cells are values that the writer did not touch.
RowImage Completed(const RowImage& row, const RowImage& from) {
  RowImage whole = row;
  for (size_t column = 0; column < whole.size() && column < from.size(); ++column) {
    if (!whole[column].known()) whole[column] = from[column];
  }
  return whole;
}

// A single member's row is the visible one: kept with it once it is not alone any more.
void KeepRow(RowState& state, const std::optional<RowImage>& visible) {
  if (state.members.size() != 1) return;
  Member& only = state.members.front();
  if (!only.deleted && !only.row && visible) only.row = *visible;
}

bool SameDot(const Dot& left, const Dot& right) {
  return left.rank == right.rank && left.incarnation == right.incarnation && left.lsn == right.lsn;
}

// Removes what the write covers, and adds it. What is left besides it, it had not seen.
void TakeMember(const RowWrite& write, RowState& state) {
  std::erase_if(state.members, [&](const Member& member) {
    return SameDot(member.dot, write.dot) || member.dot.CoveredBy(*write.vector);
  });
  const auto place = std::find_if(state.members.begin(), state.members.end(),
                                  [&](const Member& one) { return one.dot.rank > write.dot.rank; });
  state.members.insert(
      place,
      Member{.dot = write.dot, .deleted = write.kind == ChangeKind::kDelete, .row = std::nullopt});
}

Member& MemberOf(RowState& state, const Dot& dot) {
  return *std::find_if(state.members.begin(), state.members.end(),
                       [&](const Member& member) { return SameDot(member.dot, dot); });
}

}  // namespace

std::vector<std::string> RowShape::Names() const {
  std::vector<std::string> names;
  names.reserve(columns.size());
  for (const ShapeColumn& column : columns) names.push_back(column.name);
  return names;
}

Outcome RowEngine::Take(const RowWrite& taken, const AppliedVector& stable, RowState& state,
                        std::optional<RowImage>& visible) const {
  KeepRow(state, visible);
  TakeMember(taken, state);
  // What a write did not touch is what it found, not what stands here.
  RowWrite write = taken;
  write.new_row = Completed(taken.new_row, taken.old_row);
  const std::optional<RowImage> stood = visible;
  const RowImage nothing;
  Outcome outcome{.concurrent = state.members.size() > 1};
  for (const Member& member : state.members) {
    if (SameDot(member.dot, write.dot)) continue;
    if (!outcome.other || Newer(*outcome.other, member)) outcome.other = member;
  }
  RowImage merged;
  if (shape_.policy.kind == PolicyKind::kMerge) {
    merged = MergeBase(shape_, write, state, visible);
    MergeColumns(shape_, write, state, merged);
  }
  const bool deletes = write.kind == ChangeKind::kDelete;
  if (outcome.concurrent && !deletes)
    MemberOf(state, write.dot).row = Completed(write.new_row, visible ? *visible : nothing);
  if (shape_.policy.kind == PolicyKind::kMerge) {
    outcome.overflow = !ShowColumns(write, outcome.concurrent, std::move(merged), state, visible);
  } else if (!outcome.concurrent) {
    visible = deletes ? std::nullopt
                      : std::optional(Completed(write.new_row, visible ? *visible : nothing));
  } else if (shape_.policy.kind == PolicyKind::kCustom && Lives(state)) {
    outcome.shown = Shown::kFunction;
  } else {
    const Member& picked = Pick(state);
    visible = picked.deleted ? std::nullopt : picked.row;
  }
  if (outcome.shown != Shown::kFunction) outcome.shown = WhatShows(write, stood, visible);
  Forget(stable, state);
  return outcome;
}

// The merged columns become the row; what it cannot show goes to the shadow. A write that had seen
// all others has said the same in its own words, unless something was hidden from it. Returns false
// when a counter shows its bound.
bool RowEngine::ShowColumns(const RowWrite& write, bool concurrent, RowImage merged,
                            RowState& state, std::optional<RowImage>& visible) const {
  RowImage shown;
  const bool in_bounds = concurrent ? ShowMerged(shape_, merged, shown)
                                    : ShowOwn(shape_, write.new_row, merged, shown);
  state.shadow.reset();
  visible.reset();
  if (!Lives(state)) {
    state.shadow = std::move(merged);
    return true;
  }
  // A counter's exact sum, where its type has no number for it.
  if (shown != merged) state.shadow = std::move(merged);
  // For ShowNewest: the row of a single member is what is visible, but for this.
  if (!concurrent && shown != write.new_row)
    MemberOf(state, write.dot).row = Completed(write.new_row, shown);
  visible = std::move(shown);
  return in_bounds;
}

Shown RowEngine::WhatShows(const RowWrite& write, const std::optional<RowImage>& stood,
                           const std::optional<RowImage>& visible) {
  const bool deletes = write.kind == ChangeKind::kDelete;
  if (visible == stood && !(deletes && !visible)) return Shown::kLocal;
  if (deletes) return visible ? Shown::kMerged : Shown::kRemote;
  if (!visible) return stood ? Shown::kMerged : Shown::kLocal;
  return Completed(write.new_row, *visible) == *visible ? Shown::kRemote : Shown::kMerged;
}

bool RowEngine::Settled(const RowState& state, bool row_stands) const {
  if (shape_.policy.KeepsSiblings() && state.members.size() > 1) return false;
  return !state.shadow || (!row_stands && CountersAreZero(shape_, *state.shadow));
}

void RowEngine::ShowNewest(RowState& state, std::optional<RowImage>& visible) const {
  if (!state.shadow && visible) state.shadow = *visible;
  const Member* newest = nullptr;
  for (const Member& member : state.members) {
    if (!member.deleted && member.row && (newest == nullptr || Newer(*newest, member)))
      newest = &member;
  }
  if (newest != nullptr) visible = *newest->row;
}

const Member& RowEngine::Pick(const RowState& state) const {
  const Prefers prefers = PickOf(shape_.policy.kind);
  const OnDelete rule = shape_.policy.on_delete;
  const auto beats = [&](const Member& member, const Member& best) {
    if (rule != OnDelete::kNewestWins && member.deleted != best.deleted)
      return member.deleted == (rule == OnDelete::kDeleteWins);
    return prefers(shape_.policy, member, best);
  };
  const Member* best = &state.members.front();
  for (const Member& member : state.members) {
    if (beats(member, *best)) best = &member;
  }
  return *best;
}

std::vector<const Member*> RowEngine::CustomOrder(const RowState& state) {
  std::vector<const Member*> members;
  for (const Member& member : state.members) members.push_back(&member);
  std::sort(members.begin(), members.end(),
            [](const Member* left, const Member* right) { return Newer(*left, *right); });
  return members;
}

bool RowEngine::Lives(const RowState& state) const {
  const auto deleted = [](const Member& member) { return member.deleted; };
  switch (shape_.policy.on_delete) {
    case OnDelete::kDeleteWins:
      return std::none_of(state.members.begin(), state.members.end(), deleted);
    case OnDelete::kUpdateWins:
      return !std::all_of(state.members.begin(), state.members.end(), deleted);
    case OnDelete::kNewestWins:
      break;
  }
  return !std::max_element(state.members.begin(), state.members.end(), Newer)->deleted;
}

void RowEngine::Forget(const AppliedVector& stable, RowState& state) {
  bool any = false;
  for (ColumnState& column : state.columns) {
    ForgetStable(stable, column);
    any |= !column.empty();
  }
  if (!any) state.columns.clear();
}

}  // namespace pgduet
