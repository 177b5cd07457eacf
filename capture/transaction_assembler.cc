#include "capture/transaction_assembler.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/named_error.h"
#include "schemas/record_codec.h"

namespace pgduet {
namespace {

absl::Status OutOfStep(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "malformed_pgoutput",
                    fmt::format("replication stream out of step: {}", what));
}

size_t DescriptionSizeEstimate(const Relation& relation) {
  constexpr size_t kFixedBytes = 24, kColumnBytes = 24;  // tags, lengths, numbers
  size_t size = kFixedBytes + relation.schema.size() + relation.name.size();
  for (const Column& column : relation.columns)
    size += kColumnBytes + column.name.size() + column.type_name.size();
  return size;
}

}  // namespace

absl::Status TransactionAssembler::Take(const PgoutputMessage& message) {
  return std::visit([this](const auto& one) { return On(one); }, message);
}

absl::Status TransactionAssembler::On(const PgoutputBegin& begin) {
  if (transaction_) return OutOfStep("begin inside a transaction");
  transaction_ = LocalTransaction{
      .xid = begin.xid, .commit_lsn = begin.final_lsn, .commit_time = begin.commit_time};
  owner_ = OriginOwner::kOthers;
  marker_.reset();
  begun_ = false;
  batch_ = {};
  batch_relations_.clear();
  batch_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputCommit& commit) {
  if (!transaction_ || commit.commit_lsn != transaction_->commit_lsn)
    return OutOfStep("commit of another transaction");
  if (marker_) {
    sink_.Applied(*marker_);
  } else if (!batch_.empty()) {
    PGDUET_RETURN_IF_ERROR(
        sink_.Chunk(*transaction_, std::move(batch_), /*last=*/true, commit.end_lsn));
  }
  transaction_.reset();
  sink_.TransactionEnds(commit.end_lsn);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputOrigin& origin) {
  if (!transaction_) return OutOfStep("origin outside a transaction");
  if (begun_) return OutOfStep("origin after a change");
  owner_ = owners_.OwnerOf(origin.name);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputRelation& relation) {
  auto described = std::make_shared<Relation>();
  described->oid = relation.oid;
  described->schema = relation.schema.empty() ? "pg_catalog" : std::string(relation.schema);
  described->name = relation.name;
  described->replica_identity = relation.replica_identity;
  for (const PgoutputColumn& column : relation.columns) {
    auto user_type = user_types_.find(column.type_oid);
    described->columns.push_back({.name = std::string(column.name),
                                  .type_name = user_type != user_types_.end()
                                                   ? user_type->second
                                                   : type_names_(column.type_oid),
                                  .type_oid = column.type_oid,
                                  .type_modifier = column.type_modifier,
                                  .identity = column.identity});
  }
  relations_[relation.oid] = std::move(described);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputType& type) {
  user_types_[type.oid] =
      type.schema.empty() ? std::string(type.name) : fmt::format("{}.{}", type.schema, type.name);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::CheckMarked() const {
  if (owner_ != OriginOwner::kOurSet || marker_) return absl::OkStatus();
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "unmarked_own_transaction",
      fmt::format("a transaction under a pgduet replication origin has no marker: lsn={}",
                  transaction_->commit_lsn.ToString()),
      "Only pgduet may use these origins; find the session that called "
      "pg_replication_origin_session_setup.");
}

absl::StatusOr<bool> TransactionAssembler::BeforeChange() {
  if (!transaction_) return OutOfStep("change outside a transaction");
  PGDUET_RETURN_IF_ERROR(CheckMarked());
  if (marker_ || owner_ == OriginOwner::kOtherSet) return false;
  if (!begun_) PGDUET_RETURN_IF_ERROR(sink_.TransactionBegins(*transaction_));
  begun_ = true;
  if (batch_bytes_ < kChunkBytesTarget && batch_.relations.size() < kRelationsMax) return true;
  PGDUET_RETURN_IF_ERROR(sink_.Chunk(*transaction_, std::move(batch_), /*last=*/false, Lsn()));
  batch_ = {};
  batch_relations_.clear();
  batch_bytes_ = 0;
  return true;
}

absl::StatusOr<uint32_t> TransactionAssembler::RelationIndex(uint32_t oid,
                                                             const std::vector<Value>* old_row,
                                                             const std::vector<Value>* new_row) {
  auto at = relations_.find(oid);
  if (at == relations_.end()) return OutOfStep("change of an unknown relation");
  const size_t columns = at->second->columns.size();
  if ((old_row != nullptr && old_row->size() != columns) ||
      (new_row != nullptr && new_row->size() != columns)) {
    return OutOfStep("row and relation differ in columns");
  }
  auto [index, fresh] = batch_relations_.try_emplace(
      at->second.get(), static_cast<uint32_t>(batch_.relations.size()));
  if (fresh) {
    batch_.relations.push_back(at->second);
    batch_bytes_ += DescriptionSizeEstimate(*at->second);
  }
  return index->second;
}

void TransactionAssembler::AddRow(const std::vector<Value>& row, uint32_t& begin, uint32_t& count) {
  begin = static_cast<uint32_t>(batch_.values.size());
  count = static_cast<uint32_t>(row.size());
  for (const Value& value : row) {
    batch_.values.push_back(
        {value.kind, value.bytes.empty() ? std::string_view() : batch_.arena.Append(value.bytes)});
  }
}

void TransactionAssembler::AddChange(Change change) {
  batch_.changes.push_back(change);
  batch_bytes_ += EncodedSizeEstimate(batch_, change);
}

absl::Status TransactionAssembler::On(const PgoutputInsert& insert) {
  PGDUET_ASSIGN_OR_RETURN(const bool wanted, BeforeChange());
  if (!wanted) return absl::OkStatus();
  Change change{.kind = ChangeKind::kInsert};
  PGDUET_ASSIGN_OR_RETURN(change.relation,
                          RelationIndex(insert.relation, nullptr, &insert.new_row));
  AddRow(insert.new_row, change.new_begin, change.new_count);
  AddChange(change);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputUpdate& update) {
  PGDUET_ASSIGN_OR_RETURN(const bool wanted, BeforeChange());
  if (!wanted) return absl::OkStatus();
  Change change{.kind = ChangeKind::kUpdate, .old_row = update.old_kind};
  PGDUET_ASSIGN_OR_RETURN(
      change.relation,
      RelationIndex(update.relation, update.old_kind == OldRow::kNone ? nullptr : &update.old_row,
                    &update.new_row));
  AddRow(update.new_row, change.new_begin, change.new_count);
  if (update.old_kind != OldRow::kNone) AddRow(update.old_row, change.old_begin, change.old_count);
  AddChange(change);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputDelete& gone) {
  PGDUET_ASSIGN_OR_RETURN(const bool wanted, BeforeChange());
  if (!wanted) return absl::OkStatus();
  Change change{.kind = ChangeKind::kDelete, .old_row = gone.old_kind};
  PGDUET_ASSIGN_OR_RETURN(change.relation, RelationIndex(gone.relation, &gone.old_row, nullptr));
  AddRow(gone.old_row, change.old_begin, change.old_count);
  AddChange(change);
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputTruncate& truncate) {
  for (const uint32_t oid : truncate.relations) {
    PGDUET_ASSIGN_OR_RETURN(const bool wanted, BeforeChange());
    if (!wanted) return absl::OkStatus();
    Change change{.kind = ChangeKind::kTruncate};
    PGDUET_ASSIGN_OR_RETURN(change.relation, RelationIndex(oid, nullptr, nullptr));
    AddChange(change);
  }
  return absl::OkStatus();
}

absl::Status TransactionAssembler::On(const PgoutputMessageText& message) {
  if (!message.transactional || !transaction_) return absl::OkStatus();
  if (message.prefix == prefixes_.barrier) {
    sink_.Barrier(message.content);
    return absl::OkStatus();
  }
  const bool ours = owner_ == OriginOwner::kOurSet;
  if (message.prefix == prefixes_.closed && ours) {
    PGDUET_ASSIGN_OR_RETURN(const CommitTime closed, DecodeClosedTime(message.content));
    sink_.TimeClosed(closed);
  }
  if (message.prefix == prefixes_.policy && ours) return sink_.PolicyNoticed(message.content);
  if (message.prefix != prefixes_.marker) return absl::OkStatus();
  if (!ours) {
    LogWarning("capture", "marker without our origin was ignored",
               {{"lsn", message.lsn.ToString()}});
    return absl::OkStatus();
  }
  if (marker_) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(marker_, DecodeMarker(message.content));
  return absl::OkStatus();
}

}  // namespace pgduet
