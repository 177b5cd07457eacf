// What is kept about a row whose table needs more than its newest version: the maximal set of its
// versions, and what its merged columns need to know.
//
// A version's name is its dot: the place of the transaction that wrote it. Its context is that
// transaction's applied vector: it covers the versions that the vector contains (dotted version
// vectors: Preguiça, Baquero et al. 2010). Delivery is causal, so contexts need not be stored: an
// arriving write removes what its own vector covers, adds itself, and nothing that is kept can
// cover it. Hence at most one version for each region.
//
// Invariants (RowEngine keeps them):
//   - one member: the visible row is its row, or there is none when it is a delete;
//   - several members: each that lives has its row here;
//   - none: nothing is known that a write to come may not have seen.
// Values; the text form is what stands in pgduet.row_state.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "schemas/version.h"

namespace pgduet {

// Who wrote it: the transaction's place at its origin, and its time.
struct Dot {
  Rank rank = 0;
  Incarnation incarnation = 0;
  Lsn lsn;
  CommitTime time = kOldestTime;

  Version version() const { return {.commit_time = time, .rank = rank, .commit_lsn = lsn}; }
  bool CoveredBy(const AppliedVector& vector) const {
    return vector.Contains(rank, incarnation, lsn);
  }
  bool operator==(const Dot&) const = default;
};

// A value as PostgreSQL prints it.
struct Cell {
  enum class Kind : uint8_t {
    kAbsent,
    kNull,
    kText
  };  // kAbsent: not known (an unchanged large value)
  Kind kind = Kind::kAbsent;
  std::string text;

  static Cell Null() { return {Kind::kNull, {}}; }
  static Cell Text(std::string text) { return {Kind::kText, std::move(text)}; }
  bool known() const { return kind != Kind::kAbsent; }
  bool operator==(const Cell&) const = default;
};

// One cell a column, in the order of the RowShape.
using RowImage = std::vector<Cell>;

struct Member {
  Dot dot;
  bool deleted = false;
  std::optional<RowImage> row;  // see the invariants
  bool operator==(const Member&) const = default;
};

// Writes of one value that have not seen each other, and the value of each.
struct Entry {
  Dot dot;
  Cell value;
  bool operator==(const Entry&) const = default;
};

// What a merged column remembers of writes that others may not have seen yet. Empty: nothing.
struct ColumnState {
  // latest, max, min: the writes that no other one of this column covers. A single entry's value is
  // the column's, and not repeated here.
  // counter: what was added while no row stood (RowEngine::Found needs to take some of it back).
  std::vector<Entry> entries;
  std::map<std::string, std::vector<Dot>> elements;  // add_wins_set: who added the element
  std::map<std::string, std::vector<Entry>> keys;    // map: who wrote the key, and what
  bool empty() const { return entries.empty() && elements.empty() && keys.empty(); }
  bool operator==(const ColumnState&) const = default;
};

struct RowState {
  std::vector<Member> members;  // by rank
  // The merged columns where the visible row does not show them: the row is deleted, or the
  // database refused the merged row (a CHECK).
  std::optional<RowImage> shadow;
  std::vector<ColumnState> columns;  // merge: one a column; else empty
  bool operator==(const RowState&) const = default;

  // The highest LSN of each rank among all dots: what has to be stable before this can go.
  std::vector<Lsn> Newest(size_t regions) const;
};

// JSON, with columns by name. Columns that are not in `names` any more are dropped; new ones are
// absent. DataLoss: not a state.
std::string EncodeRowState(const RowState& state, const std::vector<std::string>& names);
absl::StatusOr<RowState> DecodeRowState(std::string_view text,
                                        const std::vector<std::string>& names);

}  // namespace pgduet
