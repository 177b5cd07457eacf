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
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr int kAttemptsMax = 10;
constexpr int kUniqueRacesMax = 5;
constexpr absl::Duration kIdleRound = absl::Milliseconds(100);

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
  PGDUET_ASSIGN_OR_RETURN(catalog_connection_, PgConnection::Open(SetSession(
                                                   shared_.options.conninfo, shared_.identity.set,
                                                   "catalog " + origin)));
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
  batches_ = std::make_unique<BatchCollector>(
      *pump_, rule_, shared_.applied, shared_.identity.rank, *catalog_,
      BatchCollector::Limits{.transactions = shared_.options.batch_transactions_max,
                             .bytes = shared_.options.batch_bytes_max});
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
    ApplyBatch batch;
    PGDUET_RETURN_IF_ERROR(CollectBatch(batch));
    shared_.metrics.QueueBytes(shared_.options.origin, pump_->queued_bytes());
    if (!batch.empty()) {
      gathers_ = false;
      PGDUET_RETURN_IF_ERROR(hold_back_.Wait(*session_, batch.units.back().vector, batch.highest));
      shared_.set_state("running");
      PGDUET_RETURN_IF_ERROR(RefusedStatement(batch.large ? ApplyLarge(batch, grouping)
                                                          : ApplyWhole(batch, grouping)));
      applied_batch_ = std::move(batch);
      grouping = Grouping::kByKey;
    } else {
      shared_.set_state("running");
    }
    PGDUET_RETURN_IF_ERROR(returns_.Step(*session_, *catalog_connection_, absl::Now()));
    PGDUET_RETURN_IF_ERROR(ReportDurable());
  }
  return absl::OkStatus();
}

absl::Status OriginSession::CollectBatch(ApplyBatch& batch) {
  while (true) {
    PGDUET_ASSIGN_OR_RETURN(std::optional<LogPump::Item> event,
                            batches_->Collect(batch, kIdleRound, gathers_));
    if (!event) return absl::OkStatus();
    if (event->event.kind == StreamEventKind::kNotice) return Notice(*event);
    PGDUET_RETURN_IF_ERROR(Heartbeat(*event));
    if (!batches_->HasMore()) return absl::OkStatus();
  }
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

absl::Status OriginSession::ApplyWhole(ApplyBatch& batch, Grouping grouping) {
  std::vector<ApplyUnit>& units = batch.units;
  const auto last = [&](size_t index) {
    return Last{units[index].header, units[index].vector, batch.arrivals[index]};
  };
  const absl::Status status = ApplyTogether(units, std::move(batch.segments),
                                            last(units.size() - 1), batch.highest, grouping);
  if (ErrorName(status) != "parked_rows") return status;
  for (size_t index = 0; index < units.size(); ++index) {
    const Last one = last(index);
    std::vector<ApplyUnit> alone;
    alone.push_back(std::move(units[index]));
    PGDUET_RETURN_IF_ERROR(
        ApplyTogether(alone, {}, one, one.header.commit_time, Grouping::kOneByOne));
  }
  return absl::OkStatus();
}

absl::Status OriginSession::ApplyTogether(const std::vector<ApplyUnit>& units,
                                          std::vector<Segment> segments, const Last& last,
                                          CommitTime highest, Grouping first_grouping) {
  const absl::Time apply_begin = absl::Now();
  if (batches_->TakeWaitsForClosedTime()) closing_.Want();
  return Retrying(
      [&](Grouping grouping) -> absl::Status {
        // For an attempt after clock_behind; else it is known to be past.
        PGDUET_RETURN_IF_ERROR(hold_back_.WaitForLikelyClock(*session_, highest));
        ApplyScope scope = Scope();
        scope.meanwhile = &meanwhile_;
        scope.closing = &closing_;
        ApplyTransaction transaction(scope, shared_.barrier, grouping, stop_);
        PGDUET_RETURN_IF_ERROR(transaction.Begin(last.header, highest));
        PGDUET_RETURN_IF_ERROR(transaction.Apply(units, std::exchange(segments, {})));
        PGDUET_RETURN_IF_ERROR(transaction.Commit(last.header, last.arrival.offset, last.vector));
        ApplyCounts counts = transaction.counts();
        counts.transactions = units.size();
        Committed(last, counts, apply_begin);
        shared_.applied.PeerSeen(shared_.options.origin, last.vector, last.header.closed_time);
        return absl::OkStatus();
      },
      first_grouping);
}

absl::Status OriginSession::ApplyLarge(ApplyBatch& batch, Grouping grouping) {
  const absl::Time apply_begin = absl::Now();
  std::vector<ApplyUnit> chunk = std::move(batch.units);
  Last last{chunk.front().header, chunk.front().vector, batch.arrivals.front()};
  ApplyTransaction transaction(Scope(), shared_.barrier, grouping, stop_);
  PGDUET_RETURN_IF_ERROR(transaction.Begin(last.header, last.header.commit_time));
  while (true) {
    PGDUET_RETURN_IF_ERROR(transaction.Apply(chunk));
    if (chunk.front().header.last) break;
    chunk.clear();
    PGDUET_ASSIGN_OR_RETURN(std::optional<LogPump::Item> item,
                            batches_->NextChunk(shared_.options.stalled_run));
    if (stop_.stop_requested()) return absl::CancelledError("stopped inside a large transaction");
    if (!item) {
      // Its row locks must not make local writers wait for another region.
      return NamedError(absl::StatusCode::kUnavailable, "run_stalled",
                        "a large transaction stopped coming; its locks are given back");
    }
    if (item->event.kind == StreamEventKind::kRestart || item->event.record.header.chunk == 0) {
      batches_->PutBack(*std::move(item));
      return absl::OkStatus();  // undone by the transaction's end of life
    }
    Record& record = item->event.record;
    last.arrival.offset = item->event.offset;
    last.header.last = record.header.last;
    last.header.through_lsn = record.header.through_lsn;
    chunk.push_back(
        {.header = record.header, .vector = last.vector, .batch = std::move(record.batch)});
  }
  PGDUET_RETURN_IF_ERROR(transaction.Commit(last.header, last.arrival.offset, last.vector));
  ApplyCounts counts = transaction.counts();
  counts.transactions = 1;
  Committed(last, counts, apply_begin);
  shared_.applied.PeerSeen(shared_.options.origin, last.vector, last.header.closed_time);
  return absl::OkStatus();
}

void OriginSession::Committed(const Last& last, const ApplyCounts& counts, absl::Time apply_begin) {
  const RecordHeader& header = last.header;
  const absl::Time read_at = last.arrival.read_at;
  applied_ = {.incarnation = header.incarnation,
              .sequence = header.sequence,
              .commit_lsn = header.commit_lsn,
              .commit_time = header.commit_time};
  in_effect_up_to_ = std::max(in_effect_up_to_, header.commit_time);
  shared_.applied.Advance(shared_.options.origin, applied_);
  shared_.set_progress(applied_, last.arrival.offset, in_effect_up_to_);
  durable_.Committed({.offset = last.arrival.offset, .through = header.through_lsn});
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
