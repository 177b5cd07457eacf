// The changes of one or several transactions of an origin, grouped by key: what the set-based path
// needs, and what the row path falls back to.
//
// A change of the key becomes a delete of the old key and an insert of the new one, with one
// version. A truncate ends a segment: what stands before it is applied before it. Pure but for the
// look-up of tables; values stay views into the units.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "apply/target_table.h"
#include "schemas/change.h"
#include "schemas/record.h"
#include "schemas/version.h"

namespace pgduet {

// One source transaction, or one chunk of it.
struct ApplyUnit {
  RecordHeader header;
  AppliedVector vector;
  ChangeBatch batch;
  Version version() const {
    return {
        .commit_time = header.commit_time, .rank = header.rank, .commit_lsn = header.commit_lsn};
  }
};

// One step in the life of a key.
struct KeyStep {
  uint32_t unit = 0;
  ChangeKind kind = ChangeKind::kInsert;  // insert, update or delete
  std::span<const Value> row;             // insert and update: the new row, in the relation's order
  std::span<const Value> old_row;         // what is known of the row before, for the log
  OldRow old_row_kind = OldRow::kNone;
};

enum class NetEffect : uint8_t {
  kInsert,     // the key did not exist before
  kUpdate,     // existed before, exists after
  kDelete,     // existed before
  kTransient,  // inserted and deleted again
};

struct KeyGroup {
  std::string key_text;
  uint64_t key_hash = 0;
  std::vector<KeyStep> steps;

  NetEffect net() const;
  // The value of a relation column after all steps from `first` on: unchanged values are looked up
  // in earlier steps.
  const Value& FinalValue(int source_column, size_t first_step = 0) const;
};

struct TableGroups {
  std::shared_ptr<const Relation> relation;
  std::shared_ptr<const TargetTable> table;
  std::vector<KeyGroup> groups;
  absl::flat_hash_map<std::string, size_t> by_key;
};

struct Truncation {
  uint32_t unit = 0;
  std::shared_ptr<const Relation> relation;
  std::shared_ptr<const TargetTable> table;
};

struct Segment {
  std::vector<TableGroups> tables;
  std::optional<Truncation> truncation;  // after the changes
  // The segment is one change of a key, in the groups 0 (gone) and 1 (come), of a row whose
  // unchanged large values were not to be had at the origin: they stand under the old key here.
  // `completed` and `texts` hold the row once they have been read.
  bool incomplete_move = false;
  std::vector<Value> completed;
  std::deque<std::string> texts;
};

// kByKey collapses; kOneByOne keeps each change a segment of its own, in the origin's order, for
// the row path alone.
enum class Grouping { kByKey, kOneByOne };

// Errors: those of TableLookup, and column_missing when a value has no column to go to.
absl::StatusOr<std::vector<Segment>> GroupChanges(const std::vector<ApplyUnit>& units,
                                                  TableLookup& catalog, Grouping grouping);

}  // namespace pgduet
