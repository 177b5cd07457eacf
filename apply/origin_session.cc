#include "apply/origin_session.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "apply/lost_progress.h"
#include "apply/policy_notices.h"
#include "apply/postgres_time.h"
#include "apply/refused_statement.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {
namespace {

constexpr int kAttemptsMax = 10;
constexpr int kUniqueRacesMax = 5;
constexpr absl::Duration kIdleRound = absl::Milliseconds(100);
// A transaction that has waited this long in the queue is a backlog: then it is worth a flush to be
// allowed to batch it.
constexpr absl::Duration kBacklog = absl::Milliseconds(20);

bool IsConstraint(const absl::Status& status) { return SqlState(status).starts_with("23"); }

}  // namespace

ApplyScope OriginSession::Scope() {
  return {.identity = shared_.identity,
          .origin = shared_.options.origin,
          .origin_oids = session_->origin_oids(),
          .pipeline = session_->pipeline(),
          .catalog = *catalog_,
          .history = shared_.history,
          .registry = shared_.registry,
          .applied = shared_.applied,
          .policies = shared_.policies,
          .copies = &shared_.copies,
          .parking = &shared_.parking,
          .foreign_keys = &shared_.foreign_keys,
          .decoder_patience = decoder_patience_,
          .clock = &session_->clock()};
}

absl::Status OriginSession::Open(const OriginApplier::ReaderFactory& make_reader) {
  const std::string& origin = shared_.identity.NameOf(shared_.options.origin);
  if (!shared_.barrier.WaitSoleWriter(absl::Seconds(1), stop_)) {
    return NamedError(
        absl::StatusCode::kUnavailable, "waits_for_capture",
        "another agent may be writing for this region: capture has not begun here",
        "None if another agent of this region runs: this one takes over when it ends. "
        "Else see the stream capture.");
  }
  PGDUET_ASSIGN_OR_RETURN(
      session_,
      TargetSession::Open(shared_.options.conninfo, shared_.identity, "apply " + origin,
                          OriginName(shared_.identity.group, shared_.identity.set, origin)));
  PGDUET_ASSIGN_OR_RETURN(catalog_connection_,
                          PgConnection::Open({.conninfo = shared_.options.conninfo,
                                              .application_name = "pgduet catalog " + origin,
                                              .settings = PinnedSettings()}));
  catalog_ = std::make_unique<TargetCatalog>(*catalog_connection_);
  PGDUET_RETURN_IF_ERROR(LoadCrowded(*catalog_connection_, shared_.parking));
  int64_t next_offset = -1;
  PGDUET_RETURN_IF_ERROR(LoadProgress(next_offset));
  PGDUET_ASSIGN_OR_RETURN(std::unique_ptr<LogReader> reader, make_reader());
  PGDUET_RETURN_IF_ERROR(reader->Seek(next_offset));
  RecordStream stream({.group = shared_.identity.group,
                       .origin = origin,
                       .set = shared_.identity.set,
                       .rank = shared_.options.origin,
                       .policy_hash = shared_.options.policy_hash,
                       .policy_text = shared_.options.policy_text,
                       .previous_hash = shared_.options.previous_policy_hash,
                       .changed_tables = shared_.options.changed_tables},
                      applied_);
  pump_ = std::make_unique<LogPump>(std::move(reader), std::move(stream),
                                    shared_.options.queue_bytes_max, origin);
  return absl::OkStatus();
}

absl::Status OriginSession::LoadProgress(int64_t& next_offset) {
  const Rank origin = shared_.options.origin;
  PGDUET_RETURN_IF_ERROR(SetBackLostProgress(*catalog_connection_, shared_.identity,
                                             shared_.applied, shared_.history));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      session_->Query(
          fmt::format(
              "SELECT incarnation, sequence, commit_lsn, {}, log_offset, xid::text, vector, "
              "members FROM pgduet.progress WHERE origin_rank = $1::smallint AND sequence "
              ">= (SELECT max(sequence) FROM pgduet.progress WHERE origin_rank = "
              "$1::smallint) - 10000 ORDER BY sequence DESC LIMIT 10000",
              MicrosecondsOf("commit_time")),
          {std::to_string(origin)}));
  std::deque<CoverageHistory::AppliedEntry> entries;
  for (int row = 0; row < rows.rows(); ++row) {
    const Position position{
        .incarnation = std::strtoull(std::string(rows.Text(row, 0)).c_str(), nullptr, 16),
        .sequence = static_cast<uint64_t>(rows.Int(row, 1)),
        .commit_lsn = Lsn::Parse(rows.Text(row, 2)).value_or(Lsn()),
        .commit_time = rows.Int(row, 3)};
    std::shared_ptr<const BatchMembers> members;
    if (!rows.IsNull(row, 7)) {
      PGDUET_ASSIGN_OR_RETURN(BatchMembers listed, BatchMembers::Decode(rows.Text(row, 7)));
      members = std::make_shared<const BatchMembers>(std::move(listed));
    }
    entries.push_front({static_cast<FullXid>(rows.Int(row, 5)), position, std::move(members)});
    if (row > 0) continue;
    applied_ = position;
    next_offset = rows.Int(row, 4) + 1;
    in_effect_up_to_ = position.commit_time;
    shared_.applied.PeerSeen(origin, DecodeVector(std::string(rows.Text(row, 6))), kOldestTime);
  }
  shared_.history.AppliedReloaded(origin, std::move(entries));
  shared_.applied.Reload(origin, applied_);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult heartbeat,
      session_->Query(fmt::format("SELECT log_offset, vector, {} FROM pgduet.heartbeat WHERE "
                                  "origin_rank = $1::smallint",
                                  MicrosecondsOf("sent_at")),
                      {std::to_string(origin)}));
  if (heartbeat.rows() > 0 && heartbeat.Int(0, 0) >= next_offset) {
    next_offset = heartbeat.Int(0, 0) + 1;
    in_effect_up_to_ = std::max(in_effect_up_to_, heartbeat.Int(0, 2));
    shared_.applied.PeerSeen(origin, DecodeVector(std::string(heartbeat.Text(0, 1))), kOldestTime);
  }
  shared_.set_progress(applied_, next_offset - 1, in_effect_up_to_);
  return absl::OkStatus();
}

absl::Status OriginSession::Work(Grouping grouping, bool after_refusal,
                                 const std::function<void()>& round_done) {
  gathers_ = after_refusal;
  while (!stop_.stop_requested()) {
    round_done();
    if (mark_) {
      PGDUET_RETURN_IF_ERROR(WaitAtMark());
      continue;
    }
    std::vector<Pending> batch;
    PGDUET_RETURN_IF_ERROR(CollectBatch(batch));
    shared_.metrics.QueueBytes(shared_.options.origin, pump_->queued_bytes());
    if (!batch.empty()) {
      gathers_ = false;
      PGDUET_RETURN_IF_ERROR(
          hold_back_.Wait(*session_, batch.back().chunks.front().vector, HighestTime(batch)));
      shared_.set_state("running");
      const bool large = !batch.back().complete;
      PGDUET_RETURN_IF_ERROR(RefusedStatement(large ? ApplyLarge(std::move(batch.back()), grouping)
                                                    : ApplyBatch(std::move(batch), grouping)));
      grouping = Grouping::kByKey;
    } else {
      shared_.set_state("running");
    }
    PGDUET_RETURN_IF_ERROR(returns_.Step(*session_, *catalog_connection_, absl::Now()));
    PGDUET_RETURN_IF_ERROR(ReportDurable());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<LogPump::Item>> OriginSession::NextItem(absl::Duration timeout) {
  std::optional<LogPump::Item> item = std::exchange(pushed_back_, std::nullopt);
  if (!item) item = timeout > absl::ZeroDuration() ? pump_->Pop(timeout) : pump_->TryPop();
  if (item && !item->status.ok()) return item->status;
  return item;
}

// What has just arrived is applied alone, a backlog is batched.
bool OriginSession::MayJoin(CommitTime highest, const LogPump::Item& item) {
  const Record& record = item.event.record;
  if (!rule_.Joins(record.batch)) return false;
  highest = std::max(highest, record.header.commit_time);
  if (rule_.Closed(highest)) return true;
  const bool waits_for_ours = highest > shared_.applied.ClosedTime(shared_.identity.rank);
  if (waits_for_ours && absl::Now() - item.read_at > kBacklog) shared_.applied.WantClosedTime();
  return false;
}

// A batch never waits to fill: it takes what has arrived. Only after a refusal it takes all that
// comes: the value may have been corrected at its origin since, and changes of one row in one batch
// are applied as their result.
absl::Status OriginSession::CollectBatch(std::vector<Pending>& batch) {
  size_t bytes = 0, rows = 0;
  CommitTime highest = kOldestTime;
  while (!IsFull(batch, bytes, rows)) {
    absl::StatusOr<std::optional<LogPump::Item>> item =
        NextItem(batch.empty() || gathers_ ? kIdleRound : absl::ZeroDuration());
    if (!item.ok()) {
      if (batch.empty()) return item.status();
      // What arrived before the error is applied first; the error comes again.
      pushed_back_ = LogPump::Item{.status = item.status()};
      return absl::OkStatus();
    }
    if (!item->has_value()) return absl::OkStatus();
    const bool heartbeat = (*item)->event.kind == StreamEventKind::kHeartbeat;
    const bool notice = (*item)->event.kind == StreamEventKind::kNotice;
    const bool large = !heartbeat && !notice && !(*item)->event.record.header.last;
    if (heartbeat && gathers_ && !batch.empty()) continue;  // the next one says more
    if (!batch.empty() && (heartbeat || notice || large || !MayJoin(highest, **item))) {
      pushed_back_ = *std::move(item);
      return absl::OkStatus();
    }
    if (notice) return Notice(**item);
    if (heartbeat) {
      PGDUET_RETURN_IF_ERROR(Heartbeat(**item));
      if (!pushed_back_ && pump_->queued_bytes() == 0) return absl::OkStatus();
      continue;
    }
    bytes += (*item)->bytes;
    rows += (*item)->event.record.batch.changes.size();
    highest = std::max(highest, (*item)->event.record.header.commit_time);
    PGDUET_RETURN_IF_ERROR(Take(**std::move(item), batch));
    if (large) return absl::OkStatus();
  }
  return absl::OkStatus();
}

bool OriginSession::IsFull(const std::vector<Pending>& batch, size_t bytes, size_t rows) const {
  if (batch.empty()) return false;
  return !batch.back().joins || batch.size() >= shared_.options.batch_transactions_max ||
         bytes >= shared_.options.batch_bytes_max || !rule_.MayList(rows);
}

absl::Status OriginSession::Take(LogPump::Item item, std::vector<Pending>& batch) {
  Record& record = item.event.record;
  if (record.header.chunk != 0) {
    return NamedError(absl::StatusCode::kInternal, "chunk_out_of_step",
                      "a chunk came without the beginning of its transaction");
  }
  Pending pending{.chunks = {},
                  .last = record.header,
                  .offset = item.event.offset,
                  .bytes = item.bytes,
                  .read_at = item.read_at,
                  .complete = record.header.last,
                  .joins = rule_.Joins(record.batch)};
  pending.chunks.push_back(
      {.header = record.header, .vector = record.vector, .batch = std::move(record.batch)});
  batch.push_back(std::move(pending));
  return absl::OkStatus();
}

absl::Status OriginSession::Heartbeat(LogPump::Item& item) {
  const Record& record = item.event.record;
  const Rank origin = shared_.options.origin;
  shared_.applied.PeerSeen(origin, record.vector, record.header.closed_time);
  in_effect_up_to_ = std::max(in_effect_up_to_, record.header.sent_at);
  shared_.set_progress(applied_, item.event.offset, in_effect_up_to_);
  shared_.set_heartbeat(absl::Now());
  // Once a second is enough for restarts; a moved vector matters to `direct`, where the slot waits
  // for it.
  const absl::Time now = absl::Now();
  if (now - heartbeat_stored_ < absl::Seconds(1)) return absl::OkStatus();
  heartbeat_stored_ = now;
  PGDUET_RETURN_IF_ERROR(
      session_
          ->Query("INSERT INTO pgduet.heartbeat AS h (origin_rank, incarnation, through_lsn, "
                  "vector, log_offset, sent_at, received_at) "
                  "VALUES ($1::smallint, $2, $3::pg_lsn, $4, $5::bigint, $6::timestamptz, "
                  "clock_timestamp()) "
                  "ON CONFLICT (origin_rank) DO UPDATE SET incarnation = excluded.incarnation, "
                  "through_lsn = excluded.through_lsn, "
                  "vector = excluded.vector, log_offset = excluded.log_offset, sent_at = "
                  "excluded.sent_at, "
                  "received_at = excluded.received_at",
                  {std::to_string(origin), IncarnationToString(record.header.incarnation),
                   record.header.through_lsn.ToString(), EncodeVector(record.vector),
                   std::to_string(item.event.offset), TimestampText(record.header.sent_at)})
          .status());
  durable_.Committed({.offset = item.event.offset, .through = record.header.through_lsn});
  return absl::OkStatus();
}

// Everything before it is applied. Of a mark also the clock has passed what its region's clock
// said: what is written here under the new set is younger than all that was written under the old
// one.
absl::Status OriginSession::Notice(const LogPump::Item& item) {
  PGDUET_ASSIGN_OR_RETURN(const PolicyNotice notice, DecodePolicyNotice(item.event.record.notice));
  if (notice.IsMark()) PGDUET_RETURN_IF_ERROR(hold_back_.WaitForClock(*session_, notice.clock));
  PGDUET_RETURN_IF_ERROR(StoreNotice(*session_, shared_.options.origin, notice));
  LogInfo("apply", "notice about policies",
          {{"origin", shared_.identity.NameOf(shared_.options.origin)},
           {"kind", std::string(PolicyNoticeName(notice.kind))},
           {"change", std::to_string(notice.change)}});
  if (notice.IsMark() && notice.to != shared_.options.policy_hash) mark_ = notice;
  return absl::OkStatus();
}

// When the change is made the whole engine begins anew, with the new set.
absl::Status OriginSession::WaitAtMark() {
  PGDUET_ASSIGN_OR_RETURN(const bool ended, ChangeEnded(*session_, mark_->change));
  if (ended) {
    mark_.reset();
    return absl::OkStatus();
  }
  shared_.set_state("holding");
  SleepFor(absl::Milliseconds(20), stop_);
  return ReportDurable();
}

// Commit times can run backwards against the order of the commits: the last one of a batch need not
// be the highest.
CommitTime OriginSession::HighestTime(const std::vector<Pending>& batch) {
  CommitTime highest = kOldestTime;
  for (const Pending& one : batch) highest = std::max(highest, one.last.commit_time);
  return highest;
}

absl::Status OriginSession::Retrying(const std::function<absl::Status(Grouping)>& attempt,
                                     Grouping grouping) {
  absl::Status status;
  for (int number = 0; number < kAttemptsMax && !stop_.stop_requested(); ++number) {
    status = attempt(grouping);
    if (status.ok()) {
      decoder_patience_.Reset();
      return status;
    }
    if (IsConstraint(status) && grouping == Grouping::kByKey) {
      grouping = Grouping::kOneByOne;
      shared_.metrics.Retried(shared_.options.origin, "constraint");
      continue;
    }
    // A row that appeared between our look and our write: look again.
    if (SqlState(status) == "23505" && number < kUniqueRacesMax &&
        !shared_.parking.CrowdedTables().empty()) {
      shared_.metrics.Retried(shared_.options.origin, "constraint");
      continue;
    }
    if (!absl::IsAborted(status) || ErrorName(status) == "parked_rows") return status;
    shared_.metrics.Retried(shared_.options.origin, RetryReason(status));
    if (ErrorName(status) != "decoder_behind") continue;
    decoder_patience_.Refused();
    PGDUET_RETURN_IF_ERROR(shared_.barrier.Wait(absl::Seconds(30), stop_));
  }
  return status;
}

absl::Status OriginSession::ApplyBatch(std::vector<Pending> batch, Grouping first_grouping) {
  std::vector<ApplyUnit> units;
  for (Pending& pending : batch) units.push_back(std::move(pending.chunks.front()));
  const absl::Status status =
      ApplyTogether(units, batch.back(), HighestTime(batch), first_grouping);
  if (ErrorName(status) != "parked_rows") return status;
  for (size_t index = 0; index < batch.size(); ++index) {
    std::vector<ApplyUnit> alone;
    alone.push_back(std::move(units[index]));
    PGDUET_RETURN_IF_ERROR(
        ApplyTogether(alone, batch[index], batch[index].last.commit_time, Grouping::kOneByOne));
  }
  return absl::OkStatus();
}

absl::Status OriginSession::ApplyTogether(const std::vector<ApplyUnit>& units, const Pending& last,
                                          CommitTime highest, Grouping first_grouping) {
  const absl::Time apply_begin = absl::Now();
  return Retrying(
      [&](Grouping grouping) -> absl::Status {
        // For an attempt after clock_behind; else it is known to be past.
        PGDUET_RETURN_IF_ERROR(hold_back_.WaitForLikelyClock(*session_, highest));
        ApplyTransaction transaction(Scope(), shared_.barrier, grouping, stop_);
        PGDUET_RETURN_IF_ERROR(transaction.Begin(last.last, highest));
        PGDUET_RETURN_IF_ERROR(transaction.Apply(units));
        PGDUET_RETURN_IF_ERROR(transaction.Commit(last.last, last.offset, units.back().vector));
        ApplyCounts counts = transaction.counts();
        counts.transactions = units.size();
        Committed(last, counts, last.read_at, apply_begin);
        shared_.applied.PeerSeen(shared_.options.origin, units.back().vector,
                                 last.last.closed_time);
        return absl::OkStatus();
      },
      first_grouping);
}

absl::Status OriginSession::ApplyLarge(Pending first, Grouping grouping) {
  const absl::Time apply_begin = absl::Now();
  ApplyTransaction transaction(Scope(), shared_.barrier, grouping, stop_);
  PGDUET_RETURN_IF_ERROR(transaction.Begin(first.last, first.last.commit_time));
  const AppliedVector vector = first.chunks.front().vector;
  std::vector<ApplyUnit> chunk = std::move(first.chunks);
  while (true) {
    PGDUET_RETURN_IF_ERROR(transaction.Apply(chunk));
    if (chunk.front().header.last) break;
    chunk.clear();
    PGDUET_ASSIGN_OR_RETURN(std::optional<LogPump::Item> item,
                            NextItem(shared_.options.stalled_run));
    if (stop_.stop_requested()) return absl::CancelledError("stopped inside a large transaction");
    if (!item) {
      // Its row locks must not make local writers wait for another region.
      return NamedError(absl::StatusCode::kUnavailable, "run_stalled",
                        "a large transaction stopped coming; its locks are given back");
    }
    if (item->event.kind == StreamEventKind::kRestart || item->event.record.header.chunk == 0) {
      pushed_back_ = std::move(item);
      return absl::OkStatus();  // undone by the transaction's end of life
    }
    Record& record = item->event.record;
    first.offset = item->event.offset;
    first.last.last = record.header.last;
    first.last.through_lsn = record.header.through_lsn;
    chunk.push_back({.header = record.header, .vector = vector, .batch = std::move(record.batch)});
  }
  PGDUET_RETURN_IF_ERROR(transaction.Commit(first.last, first.offset, vector));
  ApplyCounts counts = transaction.counts();
  counts.transactions = 1;
  Committed(first, counts, first.read_at, apply_begin);
  shared_.applied.PeerSeen(shared_.options.origin, vector, first.last.closed_time);
  return absl::OkStatus();
}

void OriginSession::Committed(const Pending& last, const ApplyCounts& counts, absl::Time read_at,
                              absl::Time apply_begin) {
  const RecordHeader& header = last.last;
  applied_ = {.incarnation = header.incarnation,
              .sequence = header.sequence,
              .commit_lsn = header.commit_lsn,
              .commit_time = header.commit_time};
  in_effect_up_to_ = std::max(in_effect_up_to_, header.commit_time);
  shared_.applied.Advance(shared_.options.origin, applied_);
  shared_.set_progress(applied_, last.offset, in_effect_up_to_);
  durable_.Committed({.offset = last.offset, .through = header.through_lsn});
  const absl::Time now = absl::Now();
  WarnOutOfRange(counts, now);
  const auto seconds = [](absl::Duration duration) { return absl::ToDoubleSeconds(duration); };
  shared_.metrics.Committed(shared_.options.origin, counts);
  shared_.metrics.TransactionLag(
      shared_.options.origin,
      {.publish = seconds(ToAbslTime(header.sent_at) - ToAbslTime(header.commit_time)),
       .transport = seconds(read_at - ToAbslTime(header.sent_at)),
       .hold = seconds(apply_begin - read_at),
       .apply = seconds(now - apply_begin),
       .end_to_end = seconds(now - ToAbslTime(header.commit_time))});
}

// Nobody stops, and nothing is lost: but whoever looks at the column reads something else.
void OriginSession::WarnOutOfRange(const ApplyCounts& counts, absl::Time now) {
  constexpr absl::Duration kPause = absl::Minutes(1);
  if (counts.out_of_range == 0 || now - out_of_range_warned_ < kPause) return;
  out_of_range_warned_ = now;
  LogWarning("apply", "a counter shows the bound of its type",
             NamedError(absl::StatusCode::kOutOfRange, "counter_out_of_range",
                        "the sum of all increments is beyond the column's type: table=" +
                            counts.out_of_range_table,
                        "Give the column a wider type in all regions, or take something away: the "
                        "sum is kept, and shows again when it fits."),
             {{"origin", shared_.identity.NameOf(shared_.options.origin)}});
}

absl::Status OriginSession::ReportDurable() {
  PGDUET_ASSIGN_OR_RETURN(const std::optional<DurableProgress::Place> durable,
                          durable_.Look(*session_, absl::Now()));
  if (durable) pump_->Applied(durable->offset, durable->through);
  return absl::OkStatus();
}

}  // namespace pgduet
