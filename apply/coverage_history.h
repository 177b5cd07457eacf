// Which writes that stand in this database were known to a peer: the exact side of "covered".
//
// Rows carry their writer's xid (xmin), commit time and origin. This history turns an xid back into
// a position:
//   - local transactions as capture decodes them (xid, commit time, LSN), the last `entries_max`;
//   - samples (H, L): every xid below H had ended before WAL position L;
//   - apply transactions of each origin (xid, position), in commit order; of a batch, which of its
//     transactions wrote which row.
// docs/decisions/0001-apply-protocol.md has the reasoning. Unknown and ambiguous are "not covered".
// Thread-safe.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include "apply/batch_members.h"
#include "apply/region_identity.h"
#include "schemas/version.h"

namespace pgduet {

// Transaction ids with their epoch, so that they only grow.
using FullXid = uint64_t;

class CoverageHistory {
 public:
  struct Options {
    size_t local_entries_max = 1'000'000;
    size_t applied_entries_max = 250'000;         // for each origin
    size_t members_bytes_max = 16 * 1024 * 1024;  // of all batches of an origin
    size_t samples_max = 100'000;
    CommitTime guard_band = 50'000;  // microseconds; only for what is older than the history
  };
  CoverageHistory(const RegionIdentity& identity, Options options);

  // In WAL order, from capture.
  void LocalCommitted(uint32_t xid, CommitTime time, Lsn lsn);
  // H and L of one sample; samples come with growing L.
  void Sampled(FullXid horizon, Lsn lsn);
  // An apply transaction committed here, in order for each origin. `members`: of a batch.
  void Applied(Rank origin, FullXid xid, const Position& position,
               std::shared_ptr<const BatchMembers> members = nullptr);
  // After a reconnection: what the database holds of the origin (pgduet.progress, oldest first).
  // What was noted before is forgotten; rows of earlier apply transactions count with the first
  // entry.
  struct AppliedEntry {
    FullXid xid;
    Position position;
    std::shared_ptr<const BatchMembers> members;  // null: one transaction
  };
  // The database lost what was applied beyond `position`.
  void AppliedSetBack(Rank origin, const Position& position);
  void AppliedReloaded(Rank origin, std::deque<AppliedEntry> entries);

  // The xid below which every row is covered by `vector`, as far as local writes (LocalHorizon) or
  // those of another origin (OriginHorizon) go. Conservative: rows at or above it may still be
  // covered.
  FullXid LocalHorizon(const AppliedVector& vector) const;
  FullXid OriginHorizon(Rank origin, const AppliedVector& vector) const;

  // Exact answers for one row; `xid` is its xmin (32 bits), `time` its commit time.
  bool LocalCovered(uint32_t xid, CommitTime time, const AppliedVector& vector) const;
  // Whether the local transaction that wrote the row committed before `decoded`. False in doubt.
  bool LocalDecoded(uint32_t xid, CommitTime time, Lsn decoded) const;
  bool OriginCovered(Rank origin, uint32_t xid, CommitTime time, TableKey key,
                     const AppliedVector& vector) const;
  // The commit time of the transaction that wrote the row at its origin; `stamp` is the row's, that
  // of its whole batch.
  CommitTime OriginTime(Rank origin, uint32_t xid, CommitTime stamp, TableKey key) const;

  // The LSN of a local transaction that is in the history; 0/0 otherwise. For the conflict log.
  Lsn LocalLsn(uint32_t xid, CommitTime time) const;

 private:
  struct LocalEntry {
    uint32_t xid;
    CommitTime time;
    Lsn lsn;
  };
  struct Sample {
    FullXid horizon;
    Lsn lsn;
  };
  const LocalEntry* FindXid(uint32_t xid) const;
  // The origin's entries, oldest first, and the bytes of their members.
  struct AppliedEntries {
    std::deque<AppliedEntry> entries;
    size_t members_bytes = 0;
    // The first one that is not older than the row's writer.
    std::deque<AppliedEntry>::const_iterator NotBefore(uint32_t xid) const;
    std::optional<BatchMembers::Writer> MemberOf(uint32_t xid, TableKey key) const;
  };
  Lsn OurPosition(const AppliedVector& vector) const;
  FullXid HorizonAt(Lsn lsn) const;

  const RegionIdentity identity_;
  const Options options_;
  const absl::flat_hash_set<uint32_t> baseline_xids_;
  mutable std::mutex mutex_;
  std::deque<LocalEntry> local_;
  uint64_t local_dropped_ = 0;                      // entries that left the front
  absl::flat_hash_map<uint32_t, uint64_t> by_xid_;  // xid -> running number
  CommitTime newest_local_time_ = kOldestTime;
  std::deque<Sample> samples_;
  std::vector<AppliedEntries> applied_;
};

}  // namespace pgduet
