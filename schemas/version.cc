#include "schemas/version.h"

#include <algorithm>

#include <fmt/format.h>

namespace pgduet {
namespace {

const Position kNothing;

}  // namespace

std::string IncarnationToString(Incarnation incarnation) {
  return fmt::format("{:016x}", incarnation);
}

const Position& AppliedVector::At(Rank rank) const {
  return rank < entries_.size() ? entries_[rank] : kNothing;
}

void AppliedVector::Advance(Rank rank, const Position& position) {
  const Position& now = At(rank);
  if (now.incarnation == position.incarnation && position.commit_lsn < now.commit_lsn) return;
  Set(rank, position);
}

void AppliedVector::Set(Rank rank, const Position& position) {
  if (rank >= entries_.size()) entries_.resize(rank + 1);
  entries_[rank] = position;
  // Equal vectors compare equal: no trailing entries that say nothing.
  while (!entries_.empty() && entries_.back() == kNothing) entries_.pop_back();
}

bool AppliedVector::Contains(Rank rank, Incarnation incarnation, Lsn commit_lsn) const {
  const Position& now = At(rank);
  return now.incarnation == incarnation && commit_lsn <= now.commit_lsn;
}

bool AppliedVector::ContainsAll(const AppliedVector& other,
                                std::initializer_list<Rank> except) const {
  for (size_t rank = 0; rank < other.entries_.size(); ++rank) {
    const Position& wanted = other.entries_[rank];
    if (wanted == kNothing) continue;
    if (std::find(except.begin(), except.end(), rank) != except.end()) continue;
    if (!Contains(static_cast<Rank>(rank), wanted.incarnation, wanted.commit_lsn)) return false;
  }
  return true;
}

std::string AppliedVector::ToString() const {
  std::string text;
  for (size_t rank = 0; rank < entries_.size(); ++rank) {
    const Position& entry = entries_[rank];
    if (entry == kNothing) continue;
    if (!text.empty()) text += ' ';
    text += fmt::format("{}:{}@{}", rank, entry.commit_lsn.ToString(), entry.sequence);
  }
  return text;
}

}  // namespace pgduet
