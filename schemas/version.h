// Who wrote a row and when: region ranks, positions, versions, applied vectors.
//
// Values only: no I/O, no clock. The words are those of docs/architecture.md.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schemas/lsn.h"

namespace pgduet {

// A region's order in the configuration, 0 first. Breaks ties of commit time: the higher rank wins.
using Rank = uint8_t;
constexpr int kRegionsMax = 32;

// Identity of a region's WAL history. 0: none yet.
using Incarnation = uint64_t;
std::string IncarnationToString(Incarnation incarnation);  // 16 hex digits

// Microseconds since 1970-01-01 UTC, as PostgreSQL stamps commits.
using CommitTime = int64_t;
constexpr CommitTime kOldestTime = INT64_MIN;  // version of rows that nobody stamped

// The place of a transaction at its origin. `sequence` is dense per region and set and serves
// continuity; `commit_lsn` (the LSN of the commit record) serves coverage: it means the same to
// every reader, whatever transport numbered the stream.
struct Position {
  Incarnation incarnation = 0;
  uint64_t sequence = 0;
  Lsn commit_lsn;
  CommitTime commit_time = kOldestTime;

  bool operator==(const Position&) const = default;
};

// Version of a row. Total order: commit time, then rank, then commit LSN (one region cannot commit
// two transactions that wrote one row at one LSN).
struct Version {
  CommitTime commit_time = kOldestTime;
  Rank rank = 0;
  Lsn commit_lsn;  // 0/0 when it is not known; then time and rank decide alone
  auto operator<=>(const Version&) const = default;
};

// For each region, the position up to which its transactions are in effect. Grows only.
class AppliedVector {
 public:
  // The entry of a region that was never heard of is a default Position.
  const Position& At(Rank rank) const;
  // Sets the entry; positions of one incarnation never move back (an older one is ignored).
  void Advance(Rank rank, const Position& position);
  // Sets the entry to exactly this position (recovery, new incarnation).
  void Set(Rank rank, const Position& position);
  // True when the transaction at this LSN of the region's incarnation is in effect here.
  bool Contains(Rank rank, Incarnation incarnation, Lsn commit_lsn) const;
  // True when every entry of `other` is contained, the entries of `except` left out.
  bool ContainsAll(const AppliedVector& other, std::initializer_list<Rank> except = {}) const;
  size_t size() const { return entries_.size(); }
  std::string ToString() const;  // "0:1A/7F@12 1:0/16B3@7"
  bool operator==(const AppliedVector&) const = default;

 private:
  std::vector<Position> entries_;
};

// Text form of a vector for the sidecar's columns, and back (an empty text is an empty vector;
// anything malformed too).
std::string EncodeVector(const AppliedVector& vector);
AppliedVector DecodeVector(const std::string& text);

}  // namespace pgduet
