#include "apply/delete_journal.h"

#include <algorithm>
#include <utility>

#include "apply/internal_transaction.h"
#include "apply/parked_rows.h"
#include "apply/tombstone_table.h"
#include "apply/wal_flush.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr size_t kRecordedKeysMax = 20'000;

// Keys of one table, each once, with its greatest version: the last delete of a transaction is like
// its first.
std::vector<KeyDelete> Unique(std::vector<KeyDelete> deletes) {
  std::sort(deletes.begin(), deletes.end(), [](const KeyDelete& a, const KeyDelete& b) {
    return a.key_text != b.key_text ? a.key_text < b.key_text : b.version < a.version;
  });
  deletes.erase(
      std::unique(deletes.begin(), deletes.end(),
                  [](const KeyDelete& a, const KeyDelete& b) { return a.key_text == b.key_text; }),
      deletes.end());
  return deletes;
}

bool OneVersion(const std::vector<KeyDelete>& deletes) {
  return std::all_of(deletes.begin(), deletes.end(),
                     [&](const KeyDelete& one) { return one.version == deletes.front().version; });
}

}  // namespace

DeleteJournal::DeleteJournal(std::string conninfo, const RegionIdentity& identity,
                             const PolicyTables& policies, TombstoneRegistry& registry,
                             ParkingLot& parking, const ForeignKeyWatch& foreign_keys)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      policies_(policies),
      registry_(registry),
      parking_(parking),
      foreign_keys_(foreign_keys) {}

absl::Status DeleteJournal::OpenSession() {
  if (session_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(catalog_connection_, PgConnection::Open(SetSession(
                                                   conninfo_, identity_.set, "journal catalog")));
  catalog_ = std::make_unique<TargetCatalog>(*catalog_connection_);
  PGDUET_ASSIGN_OR_RETURN(session_,
                          TargetSession::Open(conninfo_, identity_, "journal",
                                              OriginName(identity_.group, identity_.set, "local")));
  // What an earlier session journaled and a crash of the database can still take back must not
  // count as done: the slot would move on without it.
  PGDUET_RETURN_IF_ERROR(FlushWal(*catalog_connection_, identity_.messages));
  PGDUET_ASSIGN_OR_RETURN(const PgResult done,
                          session_->Query("SELECT decoded_through FROM pgduet.local_progress"));
  if (done.rows() > 0) {
    PGDUET_ASSIGN_OR_RETURN(done_through_, Lsn::Parse(done.Text(0, 0)));
  }
  return absl::OkStatus();
}

absl::Status DeleteJournal::CollectRow(const LocalTransaction& transaction,
                                       const ChangeBatch& batch, const Change& change,
                                       std::vector<TableDeletes>& tables) {
  const auto& relation = batch.relations[change.relation];
  PGDUET_ASSIGN_OR_RETURN(const auto table, catalog_->Find(relation));
  KeyDelete gone{.key = {.table = table->oid},
                 .key_text = {},
                 .version = {.commit_time = transaction.commit_time,
                             .rank = identity_.rank,
                             .commit_lsn = transaction.commit_lsn},
                 .incarnation = identity_.incarnation};
  if (change.kind != ChangeKind::kTruncate) {
    const std::vector<Value> key = table->KeyOf(batch.OldRowOf(change));
    gone.key_text = KeyText(*table, key);
    if (change.kind == ChangeKind::kUpdate &&
        gone.key_text == KeyText(*table, table->KeyOf(batch.NewRow(change)))) {
      return absl::OkStatus();
    }
    gone.key.key_hash = KeyHash(gone.key_text);
  }
  auto at = std::find_if(tables.begin(), tables.end(),
                         [&](const TableDeletes& one) { return one.table->oid == table->oid; });
  if (at == tables.end())
    at = tables.insert(at, {.relation = relation, .table = table, .deletes = {}});
  at->truncated |= change.kind == ChangeKind::kTruncate;
  const std::shared_ptr<const ForeignKeys> foreign_keys = foreign_keys_.keys();
  if (foreign_keys->IsParent(table->oid)) {
    at->parents.push_back({.gone = gone, .columns = {}, .values = {}});
    KeepRow(*foreign_keys, *table, batch.OldRowOf(change), change.old_row, at->parents.back());
  }
  at->deletes.push_back(std::move(gone));
  return absl::OkStatus();
}

absl::StatusOr<std::vector<DeleteJournal::TableDeletes>> DeleteJournal::Collect(
    const LocalTransaction& transaction, const ChangeBatch& batch) {
  std::vector<TableDeletes> tables;
  for (const Change& change : batch.changes) {
    const bool may_delete = change.kind == ChangeKind::kDelete ||
                            change.kind == ChangeKind::kTruncate ||
                            (change.kind == ChangeKind::kUpdate && change.old_row != OldRow::kNone);
    const Relation& relation = batch.RelationOf(change);
    if (!may_delete || policies_.Find(relation.schema, relation.name) != nullptr ||
        policies_.IsPast(relation.schema, relation.name, transaction.commit_lsn)) {
      continue;
    }
    PGDUET_RETURN_IF_ERROR(OpenSession());
    PGDUET_RETURN_IF_ERROR(CollectRow(transaction, batch, change, tables));
  }
  for (TableDeletes& table : tables) table.deletes = Unique(std::move(table.deletes));
  return tables;
}

void DeleteJournal::StreamBegins() {
  recorded_.clear();
  recorded_keys_ = 0;
}

absl::Status DeleteJournal::Record(const LocalTransaction& transaction, const ChangeBatch& batch) {
  absl::StatusOr<std::vector<TableDeletes>> tables = Collect(transaction, batch);
  if (!tables.ok()) {
    session_.reset();
    return WithContext(tables.status(), "record local deletes");
  }
  // Done by an earlier run, with all its chunks; the one at the very position may be done in part.
  if (tables->empty() || transaction.commit_lsn < done_through_) return absl::OkStatus();
  const bool truncates = std::any_of(tables->begin(), tables->end(),
                                     [](const TableDeletes& table) { return table.truncated; });
  // It meets every row of its table: keys before and after it are not to be mixed with that.
  if (truncates) PGDUET_RETURN_IF_ERROR(Flush());
  for (const TableDeletes& table : *tables) recorded_keys_ += table.deletes.size();
  recorded_.push_back({transaction, *std::move(tables)});
  return truncates || recorded_keys_ >= kRecordedKeysMax ? Flush() : absl::OkStatus();
}

absl::Status DeleteJournal::Flush() {
  if (recorded_.empty()) return absl::OkStatus();
  const std::vector<Recorded> recorded = std::exchange(recorded_, {});
  recorded_keys_ = 0;
  // It may have been lost since they were recorded.
  absl::Status status = OpenSession();
  if (status.ok()) status = Journal(recorded);
  // Whatever went wrong, a fresh session starts clean; registering twice does no harm.
  if (!status.ok()) session_.reset();
  return WithContext(status, "record local deletes");
}

std::vector<DeleteJournal::TableDeletes> DeleteJournal::Merged(
    const std::vector<Recorded>& recorded) {
  std::vector<TableDeletes> merged;
  for (const Recorded& one : recorded) {
    for (const TableDeletes& table : one.tables) {
      auto at = std::find_if(merged.begin(), merged.end(), [&](const TableDeletes& other) {
        return other.table->oid == table.table->oid;
      });
      if (at == merged.end()) {
        at = merged.insert(at, {.relation = table.relation, .table = table.table, .deletes = {}});
      }
      at->truncated |= table.truncated;
      at->deletes.insert(at->deletes.end(), table.deletes.begin(), table.deletes.end());
    }
  }
  for (TableDeletes& table : merged) table.deletes = Unique(std::move(table.deletes));
  return merged;
}

absl::Status DeleteJournal::Journal(const std::vector<Recorded>& recorded) {
  std::vector<KeyDelete> all;
  for (const Recorded& one : recorded) {
    for (const TableDeletes& table : one.tables)
      all.insert(all.end(), table.deletes.begin(), table.deletes.end());
  }
  std::vector<TableDeletes> merged = Merged(recorded);
  for (TableDeletes& table : merged) {
    table.first = OneVersion(table.deletes) &&
                  std::none_of(table.deletes.begin(), table.deletes.end(), [&](const auto& one) {
                    return registry_.MayHaveTombstone(one.key);
                  });
  }
  registry_.RegisterDeletes(all);
  registry_.WaitForCommits();
  PGDUET_ASSIGN_OR_RETURN(const bool together, WriteTogether(recorded, merged));
  for (size_t index = 0; !together && index < recorded.size(); ++index)
    PGDUET_RETURN_IF_ERROR(WriteAlone(recorded[index]));
  registry_.DeletesWritten(all);
  return absl::OkStatus();
}

// No row is locked: where another region's row stands under a key of several transactions, each is
// written by itself, so that no more rows are held at a time than one transaction had written.
absl::StatusOr<bool> DeleteJournal::WriteTogether(const std::vector<Recorded>& recorded,
                                                  const std::vector<TableDeletes>& merged) {
  const LocalTransaction& last = recorded.back().transaction;
  PGDUET_RETURN_IF_ERROR(Begin());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<bool> met, Look(last, merged, ReplayStep::kLook));
  absl::Status status;
  if (std::find(met.begin(), met.end(), true) == met.end()) {
    for (const TableDeletes& table : merged) PGDUET_RETURN_IF_ERROR(QueueTombstonesOf(table));
    for (const Recorded& one : recorded) {
      for (const TableDeletes& table : one.tables) PGDUET_RETURN_IF_ERROR(QueueNotes(table));
    }
    status = Commit(recorded.front().transaction, last);
    if (status.ok()) return true;
    // A delete of another region has written a tombstone since.
    if (SqlState(status) != "23505") return status;
  }
  PGDUET_RETURN_IF_ERROR(session_->pipeline().Add("ROLLBACK", {}).status());
  PGDUET_RETURN_IF_ERROR(session_->pipeline().Run().status());
  return false;
}

absl::Status DeleteJournal::WriteAlone(const Recorded& one) {
  PGDUET_RETURN_IF_ERROR(Begin());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<bool> met,
                          Look(one.transaction, one.tables, ReplayStep::kLock));
  for (size_t index = 0; index < one.tables.size(); ++index) {
    if (!met[index]) continue;
    PGDUET_RETURN_IF_ERROR(QueueReplay(one.transaction, one.tables[index], ReplayStep::kDecide));
  }
  for (const TableDeletes& table : one.tables) {
    PGDUET_RETURN_IF_ERROR(QueueTombstonesOf(table));
    PGDUET_RETURN_IF_ERROR(QueueNotes(table));
  }
  return Commit(one.transaction, one.transaction);
}

absl::Status DeleteJournal::Begin() { return BeginInternal(session_->pipeline(), identity_); }

absl::Status DeleteJournal::Commit(const LocalTransaction& first, const LocalTransaction& last) {
  PgPipeline& pipeline = session_->pipeline();
  PGDUET_RETURN_IF_ERROR(pipeline
                             .Add("INSERT INTO pgduet.local_progress (decoded_through) VALUES "
                                  "($1::pg_lsn) ON CONFLICT (singleton) "
                                  "DO UPDATE SET decoded_through = excluded.decoded_through",
                                  {last.commit_lsn.ToString()})
                             .status());
  PGDUET_RETURN_IF_ERROR(pipeline.Add("COMMIT", {}).status());
  PGDUET_RETURN_IF_ERROR(pipeline.Add("SELECT pg_current_wal_insert_lsn()", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  PGDUET_ASSIGN_OR_RETURN(const Lsn written, Lsn::Parse(results.back().Text(0, 0)));
  unflushed_.push_back({first.commit_lsn, written});
  return absl::OkStatus();
}

// Locking first makes what stands there stand still; deciding is a statement of its own, so that
// it sees the newest version of what it had to wait for.
absl::StatusOr<std::vector<bool>> DeleteJournal::Look(const LocalTransaction& transaction,
                                                      const std::vector<TableDeletes>& tables,
                                                      ReplayStep step) {
  for (const TableDeletes& table : tables)
    PGDUET_RETURN_IF_ERROR(QueueReplay(transaction, table, step));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, session_->pipeline().Run());
  const size_t before = results.size() - tables.size();
  std::vector<bool> met;
  for (size_t index = 0; index < tables.size(); ++index)
    met.push_back(results[before + index].Int(0, 0) > 0);
  return met;
}

absl::Status DeleteJournal::QueueTombstonesOf(const TableDeletes& table) {
  PgPipeline& pipeline = session_->pipeline();
  return table.first ? QueueFirstTombstones(pipeline, table.table->oid, table.deletes)
                     : QueueTombstones(pipeline, table.table->oid, table.deletes, Mark::kSwept, {});
}

absl::Status DeleteJournal::QueueNotes(const TableDeletes& table) {
  PgPipeline& pipeline = session_->pipeline();
  if (!table.parents.empty())
    PGDUET_RETURN_IF_ERROR(QueueParentsGone(pipeline, table.table->oid, table.parents));
  if (!parking_.Crowded(table.table->oid)) return absl::OkStatus();
  std::vector<std::string> keys;
  for (const KeyDelete& one : table.deletes) keys.push_back(one.key_text);
  return QueueRemoveParkedBelow(pipeline, table.table->oid, keys, table.deletes.front().version);
}

Lsn DeleteJournal::DurableThrough(Lsn wanted) {
  // What is not written yet.
  if (!recorded_.empty() && recorded_.front().transaction.commit_lsn <= wanted)
    wanted = Lsn(recorded_.front().transaction.commit_lsn.value() - 1);
  if (unflushed_.empty() || unflushed_.front().source > wanted) return wanted;
  if (session_ == nullptr) return Lsn(unflushed_.front().source.value() - 1);
  absl::StatusOr<PgResult> flushed = session_->Query("SELECT pg_current_wal_flush_lsn()");
  if (!flushed.ok()) {
    session_.reset();
    return Lsn(unflushed_.front().source.value() - 1);
  }
  const Lsn durable = Lsn::Parse(flushed->Text(0, 0)).value_or(Lsn());
  while (!unflushed_.empty() && unflushed_.front().written <= durable) unflushed_.pop_front();
  return unflushed_.empty() || unflushed_.front().source > wanted
             ? wanted
             : Lsn(unflushed_.front().source.value() - 1);
}

}  // namespace pgduet
