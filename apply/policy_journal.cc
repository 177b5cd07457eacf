#include "apply/policy_journal.h"

#include <algorithm>
#include <span>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "apply/custom_function.h"
#include "apply/internal_transaction.h"
#include "apply/policy_conflict.h"
#include "apply/row_writes.h"
#include "apply/wal_flush.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kVisiblePatience = absl::Seconds(5);
constexpr absl::Duration kPlaceInterval = absl::Milliseconds(500);
constexpr size_t kPendingBytesMax = 1024 * 1024;
constexpr size_t kPendingUnitBytes = 512;  // what a transaction takes beside its values
constexpr int kDeadlocksMax = 5;
constexpr char kOriginRegion[] = "policies";

uint32_t CopyValues(std::span<const Value> values, ChangeBatch& into) {
  const auto begin = static_cast<uint32_t>(into.values.size());
  for (const Value& value : values)
    into.values.push_back({value.kind, into.arena.Append(value.bytes)});
  return begin;
}

// A copy of the changes of tables that keep versions.
ChangeBatch PolicyChanges(const ChangeBatch& batch, const PolicyTables& policies, Lsn commit_lsn) {
  ChangeBatch chosen;
  std::vector<bool> wanted;
  for (const auto& relation : batch.relations)
    wanted.push_back(policies.Find(relation->schema, relation->name) != nullptr &&
                     !policies.IsPast(relation->schema, relation->name, commit_lsn));
  for (const Change& change : batch.changes) {
    // A truncate has no rows to note; where it arrives the stream stops, by name.
    if (!wanted[change.relation] || change.kind == ChangeKind::kTruncate) continue;
    Change& copy = chosen.changes.emplace_back(change);
    copy.new_begin = CopyValues(batch.NewRow(change), chosen);
    copy.old_begin = CopyValues(batch.OldRowOf(change), chosen);
  }
  chosen.relations = batch.relations;
  return chosen;
}

bool SeenAll(const RowState& state, const AppliedVector& vector) {
  return std::all_of(state.members.begin(), state.members.end(),
                     [&](const Member& member) { return member.dot.CoveredBy(vector); });
}

std::optional<RowImage> RowBefore(const RowWrite& write) {
  if (write.kind == ChangeKind::kInsert || write.old_row.empty()) return std::nullopt;
  return write.old_row;
}

}  // namespace

PolicyJournal::PolicyJournal(std::string conninfo, const RegionIdentity& identity,
                             const PolicyTables& policies, AppliedState& applied)
    : conninfo_(std::move(conninfo)), identity_(identity), policies_(policies), applied_(applied) {}

PolicyJournal::~PolicyJournal() = default;

absl::Status PolicyJournal::OpenSession() {
  if (session_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(catalog_connection_, PgConnection::Open(SetSession(
                                                   conninfo_, identity_.set, "policies catalog")));
  catalog_ = std::make_unique<TargetCatalog>(*catalog_connection_);
  const std::string origin = OriginName(identity_.group, identity_.set, kOriginRegion);
  PGDUET_ASSIGN_OR_RETURN(session_, TargetSession::Open(conninfo_, identity_, "policies", origin));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult oid,
      session_->Query("SELECT roident FROM pg_catalog.pg_replication_origin WHERE roname = $1",
                      {origin}));
  if (oid.rows() > 0) own_roident_ = static_cast<Oid>(oid.Int(0, 0));
  return absl::OkStatus();
}

absl::Status PolicyJournal::StreamBegins() {
  if (policies_.empty()) return absl::OkStatus();
  session_.reset();
  current_ = Lsn();
  chunk_ = -1;
  Forget();
  PGDUET_RETURN_IF_ERROR(OpenSession());
  // What is read must not be taken back by a crash: the slot follows it.
  PGDUET_RETURN_IF_ERROR(FlushWal(*catalog_connection_, identity_.messages));
  PGDUET_RETURN_IF_ERROR(place_.Load(*session_, vector_));
  through_vector_ = vector_;
  applied_.PlaceDecoded(vector_);
  return absl::OkStatus();
}

void PolicyJournal::RemoteApplied(Rank origin, const Position& position) {
  if (!policies_.empty()) vector_.Advance(origin, position);
}

// What is applied after that place comes after every local write up to it.
void PolicyJournal::DecodedThrough(Lsn lsn) {
  if (policies_.empty()) return;
  decoded_through_ = lsn;
  through_vector_ = vector_;
  applied_.PlaceDecoded(vector_);
}

void PolicyJournal::Forget() {
  pending_.clear();
  pending_bytes_ = 0;
  pending_visible_ = false;
}

// Counts the chunks as they come; they are cut in the same way each time.
bool PolicyJournal::Noted(const LocalTransaction& transaction) {
  chunk_ = transaction.commit_lsn == current_ ? chunk_ + 1 : 0;
  current_ = transaction.commit_lsn;
  return place_.Noted(current_, chunk_);
}

absl::Status PolicyJournal::Record(const LocalTransaction& transaction, const ChangeBatch& batch) {
  if (policies_.empty() || Noted(transaction)) return absl::OkStatus();
  ChangeBatch changes = PolicyChanges(batch, policies_, transaction.commit_lsn);
  if (changes.changes.empty()) return absl::OkStatus();
  vector_.Set(identity_.rank, {.incarnation = identity_.incarnation,
                               .sequence = 0,
                               .commit_lsn = transaction.commit_lsn,
                               .commit_time = transaction.commit_time});
  pending_bytes_ += kPendingUnitBytes + changes.arena.used_bytes() +
                    changes.values.size() * sizeof(Value) + changes.changes.size() * sizeof(Change);
  ApplyUnit& unit = pending_.emplace_back();
  unit.header.origin = identity_.name();
  unit.header.rank = identity_.rank;
  unit.header.incarnation = identity_.incarnation;
  unit.header.commit_lsn = transaction.commit_lsn;
  unit.header.commit_time = transaction.commit_time;
  unit.header.xid = transaction.xid;
  unit.header.chunk = static_cast<uint32_t>(chunk_);
  unit.vector = vector_;
  unit.batch = std::move(changes);
  return pending_bytes_ < kPendingBytesMax ? absl::OkStatus() : Flush();
}

absl::Status PolicyJournal::Flush() {
  if (pending_.empty()) return absl::OkStatus();
  absl::Status status = Note();
  // A deadlock with what is applied: it is rolled back, and nothing of it was noted.
  for (int again = 0; again < kDeadlocksMax && absl::IsAborted(status); ++again) {
    session_.reset();
    status = Note();
  }
  Forget();
  // Whatever went wrong, the stream begins anew at the place that was written last.
  if (!status.ok()) session_.reset();
  return WithContext(status, "note local writes");
}

absl::Status PolicyJournal::Note() {
  PGDUET_RETURN_IF_ERROR(OpenSession());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<Segment> segments,
                          GroupChanges(pending_, *catalog_, Grouping::kByKey));
  PgPipeline& pipeline = session_->pipeline();
  PGDUET_RETURN_IF_ERROR(BeginInternal(pipeline, identity_));
  for (const Segment& segment : segments) {
    for (const TableGroups& table : segment.tables) PGDUET_RETURN_IF_ERROR(NoteTable(table));
  }
  const ApplyUnit& last = pending_.back();
  PGDUET_RETURN_IF_ERROR(
      place_.Queue(pipeline, last.header.commit_lsn, last.header.chunk, last.vector));
  PGDUET_RETURN_IF_ERROR(pipeline.Add("COMMIT", {}).status());
  return FinishPlace();
}

absl::Status PolicyJournal::NoteTable(const TableGroups& table) {
  const TablePolicy* policy = policies_.Find(table.relation->schema, table.relation->name);
  if (policy == nullptr) return absl::OkStatus();
  const RowEngine engine(ShapeOf(*table.table, *policy));
  std::vector<std::string> keys;
  for (const KeyGroup& group : table.groups) keys.push_back(group.key_text);
  PGDUET_ASSIGN_OR_RETURN(
      std::vector<KnownRow> known,
      LockRowStates(session_->pipeline(), table.table->oid, engine.shape(), keys));
  const AppliedVector stable = applied_.StableVector(identity_.rank);
  std::vector<KnownRow> noted;
  for (size_t place = 0; place < table.groups.size(); ++place) {
    LocalRow row{.group = &table.groups[place], .known = std::move(known[place]), .stands = {}};
    for (const RowWrite& write : WritesOf(*table.table, *row.group, pending_)) {
      // Where merged columns are hidden the write may show more than it wrote, here as elsewhere.
      if (!SeenAll(row.known.state, *write.vector) || row.known.state.shadow) {
        PGDUET_RETURN_IF_ERROR(TakeContested(table, engine, row, write));
        continue;
      }
      std::optional<RowImage> visible = RowBefore(write);
      engine.Take(write, stable, row.known.state, visible);
      row.known.row_stands = visible.has_value();
    }
    noted.push_back(std::move(row.known));
  }
  return QueueRowStates(session_->pipeline(), table.table->oid, engine, noted,
                        identity_.regions.size());
}

absl::Status PolicyJournal::AwaitVisible() {
  if (std::exchange(pending_visible_, true)) return absl::OkStatus();
  ArrayLiteral xids;
  for (const ApplyUnit& one : pending_) xids.Add(std::to_string(one.header.xid));
  const std::string awaited = std::move(xids).Finish();
  const absl::Time patience = absl::Now() + kVisiblePatience;
  while (true) {
    PGDUET_ASSIGN_OR_RETURN(
        const size_t asked,
        session_->pipeline().Add("SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = "
                                 "'transactionid' AND transactionid = ANY($1::xid[]))",
                                 {awaited}, {25}));
    PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, session_->pipeline().Run());
    if (!results[asked].Bool(0, 0)) return absl::OkStatus();
    if (absl::Now() > patience)
      return absl::UnavailableError("a commit that is decoded does not become visible");
    absl::SleepFor(absl::Milliseconds(1));
  }
}

// A row of the journal's own is a merge with what another region wrote.
bool PolicyJournal::IsRemoteOrigin(Oid roident) const {
  const std::vector<Oid>& origins = session_->origin_oids();
  return roident != 0 && (roident == own_roident_ ||
                          std::find(origins.begin(), origins.end(), roident) != origins.end());
}

absl::Status PolicyJournal::TakeContested(const TableGroups& table, const RowEngine& engine,
                                          LocalRow& row, const RowWrite& write) {
  PGDUET_RETURN_IF_ERROR(AwaitVisible());
  PGDUET_ASSIGN_OR_RETURN(
      std::vector<VisibleRow> stands,
      ReadVisibleRows(session_->pipeline(), *table.table, {row.group->key_text}));
  row.stands = std::move(stands.front());
  const bool remote_writer =
      row.stands.row && (row.stands.own || IsRemoteOrigin(row.stands.roident));
  const bool own_writer = row.stands.row && !remote_writer && row.stands.time == write.dot.time;
  const bool gone = !row.stands.row && write.kind == ChangeKind::kDelete;
  // Else a later local write stands there (or has taken the row away): it comes by, and decides.
  const bool settled = remote_writer || own_writer || gone;
  std::optional<RowImage> visible = remote_writer ? row.stands.row : RowBefore(write);
  const Outcome outcome = engine.Take(write, {}, row.known.state, visible);
  if (outcome.shown == Shown::kFunction) {
    PGDUET_RETURN_IF_ERROR(AskFunction(session_->pipeline(), *table.table, engine, row.known.state,
                                       identity_, visible));
  }
  row.known.row_stands = visible.has_value();
  if (!settled) {
    if (engine.shape().policy.kind == PolicyKind::kMerge && !row.known.state.shadow)
      row.known.state.shadow = visible;
  } else if (visible != row.stands.row) {
    PGDUET_RETURN_IF_ERROR(QueueVisibleRow(session_->pipeline(), *table.table, row.group->key_text,
                                           row.stands.row, visible)
                               .status());
  }
  return QueueLog(table, engine, row, write, outcome);
}

// The other region's write is the remote side of the entry, although ours came by last.
absl::Status PolicyJournal::QueueLog(const TableGroups& table, const RowEngine& engine,
                                     const LocalRow& row, const RowWrite& write,
                                     const Outcome& outcome) {
  if (!outcome.concurrent) return absl::OkStatus();
  const bool deletes = write.kind == ChangeKind::kDelete;
  const ChangeKind theirs = outcome.other->deleted ? ChangeKind::kDelete : ChangeKind::kUpdate;
  const Decision decision = outcome.shown == Shown::kRemote  ? Decision::kKeepLocal
                            : outcome.shown == Shown::kLocal ? Decision::kApplyRemote
                                                             : Decision::kMerge;
  return QueuePolicyConflict(
      session_->pipeline(), identity_,
      {.table = table.table.get(),
       .key_text = row.group->key_text,
       .policy = engine.shape().policy.kind,
       .kind = KindOfMeeting(theirs, deletes),
       .decision = decision,
       .remote = *outcome.other,
       .remote_operation = theirs,
       .remote_sequence = 0,
       .local = Member{
           .dot = write.dot, .deleted = deletes, .row = deletes ? write.old_row : write.new_row}});
}

absl::Status PolicyJournal::FinishPlace() {
  PgPipeline& pipeline = session_->pipeline();
  PGDUET_RETURN_IF_ERROR(pipeline.Add("SELECT pg_current_wal_insert_lsn()", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  PGDUET_ASSIGN_OR_RETURN(const Lsn written, Lsn::Parse(results.back().Text(0, 0)));
  place_.Written(written);
  return absl::OkStatus();
}

// Local writes of other tables move the place, too: the slot must not wait for one of ours.
absl::Status PolicyJournal::MovePlace() {
  const absl::Time now = absl::Now();
  if (decoded_through_ > place_.lsn() && now - place_written_ >= kPlaceInterval) {
    place_written_ = now;
    PGDUET_RETURN_IF_ERROR(OpenSession());
    PGDUET_RETURN_IF_ERROR(
        place_.Queue(session_->pipeline(), decoded_through_, -1, through_vector_));
    PGDUET_RETURN_IF_ERROR(FinishPlace());
  }
  return session_ == nullptr ? absl::OkStatus() : place_.LookForDurable(*session_);
}

Lsn PolicyJournal::DurableThrough(Lsn wanted) {
  if (policies_.empty() || wanted <= place_.durable()) return wanted;
  if (!MovePlace().ok()) session_.reset();  // the next stretch of the stream says what is wrong
  return std::min(wanted, place_.durable());
}

}  // namespace pgduet
