// What a simulated database writes to its log: one record for each transaction that ends, with its
// logical changes (what capture decodes) and its effects (what recovery puts back).
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "resolve/conflict.h"
#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet::simulation {

using Key = int;
constexpr Key kTable = -1;  // the whole table: tombstone of a truncate
using Xid = uint64_t;
// A source transaction, unique in the world. Known to the checker, not to the protocol.
using Serial = uint64_t;

struct Row {
  Xid xmin = 0;
  uint64_t value = 0;
  Serial writer = 0;
};

struct Tombstone {
  Version version;
  Serial writer = 0;
  bool unswept = false;
  AppliedVector vector;  // of the delete, while there is something to sweep
};

struct RowWrite {
  ChangeKind kind = ChangeKind::kInsert;
  Key key = 0;
  uint64_t value = 0;
};

struct LogEntry {
  Key key = 0;
  ConflictKind kind = ConflictKind::kUpdateOriginDiffers;
  Decision decision = Decision::kApplyRemote;
  Serial remote = 0;
  Serial local = 0;        // 0: nothing stood there
  bool ambiguous = false;  // coverage could not be told after a loss of history

  Serial loser() const { return decision == Decision::kApplyRemote ? local : remote; }
  Serial winner() const { return decision == Decision::kApplyRemote ? remote : local; }
};

// pgduet.progress: one row for each apply transaction.
struct Progress {
  Rank origin = 0;
  Position position;
  size_t offset = 0;
  AppliedVector vector;
  Xid xid = 0;
  std::map<Key, Position> written;  // of a batch: which of its transactions wrote the row
};

enum class RecordKind { kLocal, kApplied, kInternal, kBarrier, kAbort };

struct WalRecord {
  RecordKind kind = RecordKind::kLocal;
  Xid xid = 0;
  std::vector<Xid> subxids;
  CommitTime time = kOldestTime;
  Rank origin = 0;
  Serial serial = 0;  // kLocal: itself
  std::vector<RowWrite> changes;
  uint64_t token = 0;           // kBarrier
  std::vector<Serial> applied;  // kApplied: the source transactions, for the checker
  Serial journal_of = 0;        // kInternal: whose deletes were replayed
  // Effects.
  std::map<Key, std::optional<Row>> rows;
  std::map<Key, std::optional<Tombstone>> tombstones;
  std::vector<LogEntry> log;
  std::optional<Progress> progress;
  std::optional<Lsn> journaled;
  // When it began and became visible, in steps of the world, for the checker.
  uint64_t began_at = 0;
  uint64_t visible_at = 0;
};

}  // namespace pgduet::simulation
