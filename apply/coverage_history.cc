#include "apply/coverage_history.h"

#include <algorithm>

namespace pgduet {
namespace {

size_t BytesOf(const std::shared_ptr<const BatchMembers>& members) {
  return members == nullptr ? 0 : members->bytes();
}

}  // namespace

CoverageHistory::CoverageHistory(const RegionIdentity& identity, Options options)
    : identity_(identity),
      options_(options),
      baseline_xids_(identity.baseline_xids.begin(), identity.baseline_xids.end()),
      applied_(identity.regions.size()) {
  samples_.push_back({identity.baseline_xid, identity.baseline_lsn});
}

void CoverageHistory::LocalCommitted(uint32_t xid, CommitTime time, Lsn lsn) {
  std::scoped_lock lock(mutex_);
  if (!local_.empty() && lsn <= local_.back().lsn) return;  // decoded again after a reconnection
  by_xid_[xid] = local_dropped_ + local_.size();
  local_.push_back({xid, time, lsn});
  newest_local_time_ = std::max(newest_local_time_, time);
  if (local_.size() <= options_.local_entries_max) return;
  const auto oldest = by_xid_.find(local_.front().xid);
  if (oldest != by_xid_.end() && oldest->second == local_dropped_) by_xid_.erase(oldest);
  local_.pop_front();
  ++local_dropped_;
}

void CoverageHistory::Sampled(FullXid horizon, Lsn lsn) {
  std::scoped_lock lock(mutex_);
  if (lsn <= samples_.back().lsn || horizon < samples_.back().horizon) return;
  if (samples_.size() > 1 && samples_.back().horizon == horizon) return;  // the older LSN says more
  samples_.push_back({horizon, lsn});
  if (samples_.size() > options_.samples_max) samples_.pop_front();
}

void CoverageHistory::Applied(Rank origin, FullXid xid, const Position& position,
                              std::shared_ptr<const BatchMembers> members) {
  std::scoped_lock lock(mutex_);
  AppliedEntries& applied = applied_[origin];
  applied.members_bytes += BytesOf(members);
  applied.entries.push_back({xid, position, std::move(members)});
  while (applied.entries.size() > options_.applied_entries_max ||
         (applied.members_bytes > options_.members_bytes_max && applied.entries.size() > 1)) {
    applied.members_bytes -= BytesOf(applied.entries.front().members);
    applied.entries.pop_front();
  }
}

void CoverageHistory::AppliedReloaded(Rank origin, std::deque<AppliedEntry> entries) {
  std::scoped_lock lock(mutex_);
  size_t bytes = 0;
  for (const AppliedEntry& entry : entries) bytes += BytesOf(entry.members);
  applied_[origin] = {.entries = std::move(entries), .members_bytes = bytes};
}

void CoverageHistory::AppliedSetBack(Rank origin, const Position& position) {
  std::scoped_lock lock(mutex_);
  AppliedEntries& applied = applied_[origin];
  while (!applied.entries.empty() && applied.entries.back().position.sequence > position.sequence) {
    applied.members_bytes -= BytesOf(applied.entries.back().members);
    applied.entries.pop_back();
  }
}

std::deque<CoverageHistory::AppliedEntry>::const_iterator
CoverageHistory::AppliedEntries::NotBefore(uint32_t xid) const {
  return std::partition_point(entries.begin(), entries.end(), [&](const AppliedEntry& entry) {
    return static_cast<int32_t>(static_cast<uint32_t>(entry.xid) - xid) < 0;
  });
}

std::optional<BatchMembers::Writer> CoverageHistory::AppliedEntries::MemberOf(uint32_t xid,
                                                                              TableKey key) const {
  const auto at = NotBefore(xid);
  if (at == entries.end() || static_cast<uint32_t>(at->xid) != xid || at->members == nullptr)
    return std::nullopt;
  return at->members->WriterOf(key);
}

Lsn CoverageHistory::OurPosition(const AppliedVector& vector) const {
  const Position& ours = vector.At(identity_.rank);
  const bool known = ours.incarnation == identity_.incarnation;
  return known ? std::max(ours.commit_lsn, identity_.baseline_lsn) : identity_.baseline_lsn;
}

FullXid CoverageHistory::HorizonAt(Lsn lsn) const {
  auto after =
      std::upper_bound(samples_.begin(), samples_.end(), lsn,
                       [](Lsn wanted, const Sample& sample) { return wanted < sample.lsn; });
  return after == samples_.begin() ? 0 : std::prev(after)->horizon;
}

FullXid CoverageHistory::LocalHorizon(const AppliedVector& vector) const {
  std::scoped_lock lock(mutex_);
  return HorizonAt(OurPosition(vector));
}

FullXid CoverageHistory::OriginHorizon(Rank origin, const AppliedVector& vector) const {
  std::scoped_lock lock(mutex_);
  const std::deque<AppliedEntry>& entries = applied_[origin].entries;
  if (entries.empty()) return 0;
  // The first apply transaction that the vector does not contain; rows of xids below it are
  // covered.
  auto first_unknown =
      std::partition_point(entries.begin(), entries.end(), [&](const AppliedEntry& entry) {
        return vector.Contains(origin, entry.position.incarnation, entry.position.commit_lsn);
      });
  if (first_unknown == entries.begin()) return 0;
  return std::prev(first_unknown)->xid + 1;
}

const CoverageHistory::LocalEntry* CoverageHistory::FindXid(uint32_t xid) const {
  auto at = by_xid_.find(xid);
  if (at == by_xid_.end() || at->second < local_dropped_) return nullptr;
  const LocalEntry& entry = local_[at->second - local_dropped_];
  return entry.xid == xid ? &entry : nullptr;
}

bool CoverageHistory::LocalCovered(uint32_t xid, CommitTime time,
                                   const AppliedVector& vector) const {
  std::scoped_lock lock(mutex_);
  const Lsn known = OurPosition(vector);
  // Equal xids 2^32 apart cannot both be live rows' writers, so 32 bits compare against the
  // sample's low half.
  if (const FullXid horizon = HorizonAt(known);
      horizon != 0 && static_cast<int32_t>(static_cast<uint32_t>(horizon) - xid) > 0) {
    return true;
  }
  if (const LocalEntry* entry = FindXid(xid); entry != nullptr) return entry->lsn <= known;
  if (baseline_xids_.contains(xid)) return true;
  if (local_.empty() || time < local_.front().time) {
    // Older than the history. The time decides; in doubt it is concurrent.
    const Position& ours = vector.At(identity_.rank);
    return ours.incarnation == identity_.incarnation && ours.commit_time != kOldestTime &&
           time < ours.commit_time - options_.guard_band;
  }
  if (time > newest_local_time_) return false;  // not decoded yet
  // A subtransaction's xid: it shares the commit time of its top transaction. Times are nearly in
  // WAL order, so look around the place where the time belongs.
  constexpr CommitTime kNeighbourhood = 10'000'000;
  auto from = std::partition_point(local_.begin(), local_.end(), [&](const LocalEntry& entry) {
    return entry.time < time - kNeighbourhood;
  });
  bool found = false;
  for (; from != local_.end() && from->time <= time + kNeighbourhood; ++from) {
    if (from->time != time) continue;
    if (from->lsn > known) return false;
    found = true;
  }
  // Another transaction with this very time may not be decoded yet: only of an old enough xid can
  // it not be the writer.
  const FullXid decoded = HorizonAt(local_.back().lsn);
  return found && static_cast<int32_t>(static_cast<uint32_t>(decoded) - xid) > 0;
}

bool CoverageHistory::LocalDecoded(uint32_t xid, CommitTime time, Lsn decoded) const {
  if (!decoded.valid()) return false;
  // A commit record can begin exactly where what is decoded ends: it is not decoded.
  AppliedVector place;
  place.Set(identity_.rank, {.incarnation = identity_.incarnation,
                             .sequence = 0,
                             .commit_lsn = Lsn(decoded.value() - 1)});
  return LocalCovered(xid, time, place);
}

CommitTime CoverageHistory::OriginTime(Rank origin, uint32_t xid, CommitTime stamp,
                                       TableKey key) const {
  std::scoped_lock lock(mutex_);
  const auto member = applied_[origin].MemberOf(xid, key);
  return member ? member->commit_time : stamp;
}

bool CoverageHistory::OriginCovered(Rank origin, uint32_t xid, CommitTime time, TableKey key,
                                    const AppliedVector& vector) const {
  std::scoped_lock lock(mutex_);
  const AppliedEntries& applied = applied_[origin];
  const std::deque<AppliedEntry>& entries = applied.entries;
  const Position& known = vector.At(origin);
  if (!entries.empty()) {
    const auto at = applied.NotBefore(xid);
    if (at != entries.end() && static_cast<uint32_t>(at->xid) == xid) {
      const auto member = applied.MemberOf(xid, key);
      return vector.Contains(origin, at->position.incarnation,
                             member ? member->commit_lsn : at->position.commit_lsn);
    }
    // Written before the first entry: covered with it, else the time must tell.
    if (at == entries.begin() &&
        vector.Contains(origin, at->position.incarnation, at->position.commit_lsn)) {
      return true;
    }
  }
  // Applied by an earlier run of the agent. The stamp is the origin's commit time; the vector's
  // time is that of the last transaction it contains. Equal is that very transaction; in the guard
  // band in doubt, so concurrent.
  return known.commit_time != kOldestTime &&
         (time == known.commit_time || time < known.commit_time - options_.guard_band);
}

Lsn CoverageHistory::LocalLsn(uint32_t xid, CommitTime time) const {
  std::scoped_lock lock(mutex_);
  if (const LocalEntry* entry = FindXid(xid); entry != nullptr && entry->time == time)
    return entry->lsn;
  return {};
}

}  // namespace pgduet
