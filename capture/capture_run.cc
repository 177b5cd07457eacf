#include "capture/capture_run.h"

#include <algorithm>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "base/log.h"
#include "base/named_error.h"
#include "schemas/record_codec.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(10);
constexpr absl::Duration kPollHolding = absl::Milliseconds(1);  // the log has something to send
constexpr int kFramesPerRound = 2000;
constexpr size_t kHeldBytesMax = 1024 * 1024;

std::string TypeName(PgConnection& control, uint32_t oid) {
  absl::StatusOr<PgResult> name =
      control.Query("SELECT pg_catalog.format_type($1::oid, NULL)", {std::to_string(oid)});
  return name.ok() && !name->IsNull(0, 0) ? std::string(name->Text(0, 0))
                                          : fmt::format("oid {}", oid);
}

}  // namespace

CaptureRun::CaptureRun(CaptureLoop& loop, std::stop_token stop)
    : loop_(loop),
      options_(loop.options_),
      stop_(std::move(stop)),
      unchanged_values_(loop.options_.conninfo, loop.options_.set) {}

absl::Status CaptureRun::Open() {
  PGDUET_ASSIGN_OR_RETURN(writer_, loop_.make_writer_());
  PGDUET_ASSIGN_OR_RETURN(
      control_, PgConnection::Open(SetSession(options_.conninfo, options_.set, "capture control")));
  PGDUET_RETURN_IF_ERROR(CheckSlot());
  // For a log that cannot be read the server shall not decode anything.
  PGDUET_RETURN_IF_ERROR(writer_->ReadTail().status());
  PGDUET_ASSIGN_OR_RETURN(stream_, ReplicationStream::Connect(
                                       {.conninfo = options_.conninfo,
                                        .slot = options_.slot,
                                        .publication = options_.publication,
                                        .application_name = SessionName(options_.set, "capture")}));
  PGDUET_RETURN_IF_ERROR(CheckSystem());
  PGDUET_RETURN_IF_ERROR(stream_->Start(Lsn()));
  // What counts is the tail that is read now. Until the slot was ours another agent of this region
  // may have published and confirmed: an older tail may be behind the slot, and what is captured
  // next would get numbers that are taken.
  PGDUET_ASSIGN_OR_RETURN(const std::optional<LogTail> tail, writer_->ReadTail());
  PGDUET_RETURN_IF_ERROR(CheckTail(tail));
  if (tail) {
    vector_ = tail->vector;
    last_published_ = tail->last;
    durable_through_ = tail->through_lsn;
  }
  if (last_published_.sequence == 0) {
    last_published_ = {.incarnation = options_.incarnation,
                       .sequence = 0,
                       .commit_lsn = options_.baseline_lsn,
                       .commit_time = kOldestTime};
    durable_through_ = std::max(durable_through_, options_.baseline_lsn);
  }
  vector_.Set(options_.rank, last_published_);
  resume_after_ = options_.position_is_slot ? Lsn() : last_published_.commit_lsn;
  PGDUET_RETURN_IF_ERROR(CheckTimeline());
  assembler_ = std::make_unique<TransactionAssembler>(
      options_.group, options_.set, [this](uint32_t oid) { return TypeName(*control_, oid); },
      *this);
  decoded_through_ = confirmed_;
  PGDUET_RETURN_IF_ERROR(loop_.observer_.StreamBegins());
  loop_.observer_.DecodedThrough(decoded_through_);
  PGDUET_RETURN_IF_ERROR(loop_.observer_.RoundEnds());
  PGDUET_RETURN_IF_ERROR(Announce());
  LogInfo("capture", "stream started",
          {{"slot", options_.slot},
           {"sequence", std::to_string(last_published_.sequence)},
           {"confirmed", confirmed_.ToString()}});
  return absl::OkStatus();
}

absl::StatusOr<PgResult> CaptureRun::AskSlot() {
  return control_->Query(
      "SELECT wal_status, confirmed_flush_lsn FROM pg_catalog.pg_replication_slots "
      "WHERE slot_name = $1 AND database = current_database()",
      {options_.slot});
}

absl::Status CaptureRun::CheckSlot() {
  PGDUET_ASSIGN_OR_RETURN(const PgResult slot, AskSlot());
  if (slot.rows() == 0) {
    return NamedError(absl::StatusCode::kFailedPrecondition, "slot_missing",
                      fmt::format("replication slot is missing: slot={}", options_.slot),
                      "The slot is gone, and with it the changes since. Peers must be compared and "
                      "the region joined again; "
                      "see docs/operations/errors.md.");
  }
  if (slot.Text(0, 0) == "lost") {
    return NamedError(absl::StatusCode::kFailedPrecondition, "slot_invalidated",
                      fmt::format("replication slot was invalidated: slot={}", options_.slot),
                      "The server removed WAL that the slot needed (max_slot_wal_keep_size). Join "
                      "the region again; see "
                      "docs/operations/errors.md.");
  }
  return absl::OkStatus();
}

// The slot must be ours, and the tail younger than that.
absl::Status CaptureRun::CheckTail(const std::optional<LogTail>& tail) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult slot, AskSlot());
  if (slot.rows() == 0) return absl::UnavailableError("the slot was dropped under the stream");
  PGDUET_ASSIGN_OR_RETURN(confirmed_, Lsn::Parse(slot.Text(0, 1)));
  if (options_.position_is_slot) return absl::OkStatus();
  if (tail && tail->incarnation != 0 && tail->incarnation != options_.incarnation) {
    return NamedError(absl::StatusCode::kFailedPrecondition, "incarnation_changed",
                      "the topic was written by another incarnation of this region",
                      "The database was replaced or initialised anew while its topic stayed; see "
                      "docs/operations/errors.md.");
  }
  const Lsn known = std::max(tail ? tail->through_lsn : Lsn(), options_.baseline_lsn);
  if (confirmed_ > known) {
    return NamedError(
        absl::StatusCode::kDataLoss, "slot_ahead_of_topic",
        fmt::format("the slot was moved past what the topic holds: slot={} confirmed={} topic={}",
                    options_.slot, confirmed_.ToString(), known.ToString()),
        "Somebody advanced the slot, or the topic lost records. Changes in between were never "
        "published: compare "
        "the regions and join again; see docs/operations/errors.md.");
  }
  return absl::OkStatus();
}

absl::Status CaptureRun::CheckSystem() {
  PGDUET_ASSIGN_OR_RETURN(const SystemIdentity system, stream_->Identify());
  if (system.system_identifier != options_.system_identifier) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "incarnation_changed",
        fmt::format("the conninfo leads to another database cluster: expected={} found={}",
                    options_.system_identifier, system.system_identifier),
        "Point the region's conninfo to its own server, or initialise this one as a new "
        "incarnation.");
  }
  if (system.timeline == options_.timeline || options_.position_is_slot) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(switched_, stream_->SwitchPoint(system.timeline, options_.timeline));
  return absl::OkStatus();
}

absl::Status CaptureRun::CheckTimeline() const {
  if (!switched_) return absl::OkStatus();
  if (!switched_->valid() || last_published_.commit_lsn > *switched_) {
    return NamedError(
        absl::StatusCode::kDataLoss, "timeline_diverged",
        fmt::format(
            "peers hold transactions that this server lost at a failover: switch={} published={}",
            switched_->ToString(), last_published_.commit_lsn.ToString()),
        "See docs/operations/errors.md: the lost transactions can be taken back from the topic.");
  }
  LogInfo("capture", "timeline changed", {{"switch", switched_->ToString()}});
  return absl::OkStatus();
}

absl::Status CaptureRun::Work() {
  while (!stop_.stop_requested()) {
    loop_.rounds_.fetch_add(1, std::memory_order_relaxed);
    PGDUET_RETURN_IF_ERROR(TakeRound());
    PGDUET_RETURN_IF_ERROR(Housekeeping());
  }
  // What is on its way may still become durable, so that the next start repeats less.
  (void)writer_->Wait(absl::Milliseconds(200));
  CollectDurable();
  return Feedback();
}

absl::Status CaptureRun::TakeRound() {
  PGDUET_RETURN_IF_ERROR(TakeFrames());
  return Release();
}

absl::Status CaptureRun::Release() {
  PGDUET_RETURN_IF_ERROR(loop_.observer_.RoundEnds());
  for (const std::string& bytes : std::exchange(held_, {}))
    PGDUET_RETURN_IF_ERROR(AppendBytes(bytes));
  held_bytes_ = 0;
  return absl::OkStatus();
}

absl::Status CaptureRun::TakeFrames() {
  awaited_passed_ = false;
  const absl::Duration poll = writer_->HoldsBack() ? kPollHolding : kPoll;
  for (int frames = 0; frames < kFramesPerRound && !awaited_passed_ && !stop_.stop_requested();
       ++frames) {
    PGDUET_ASSIGN_OR_RETURN(const auto frame,
                            stream_->Next(frames == 0 ? poll : absl::ZeroDuration()));
    if (!frame) return absl::OkStatus();
    if (frame->keepalive) {
      if (!assembler_->in_transaction())
        decoded_through_ = std::max(decoded_through_, frame->wal_end);
      loop_.observer_.DecodedThrough(decoded_through_);
      if (frame->reply_requested) PGDUET_RETURN_IF_ERROR(Feedback());
      continue;
    }
    PGDUET_ASSIGN_OR_RETURN(const PgoutputMessage message, DecodePgoutput(frame->payload));
    PGDUET_RETURN_IF_ERROR(assembler_->Take(message));
  }
  return absl::OkStatus();
}

absl::Status CaptureRun::Housekeeping() {
  const absl::Time now = absl::Now();
  const absl::Duration interval =
      vector_moved_ ? options_.heartbeat_moving : options_.heartbeat_idle;
  if (!assembler_->in_transaction() && now - heartbeat_at_ >= interval)
    PGDUET_RETURN_IF_ERROR(SendHeartbeat());
  // What this round has appended goes out together.
  PGDUET_RETURN_IF_ERROR(writer_->Wait(absl::ZeroDuration()));
  CollectDurable();
  if (now - feedback_at_ >= options_.feedback_interval) PGDUET_RETURN_IF_ERROR(Feedback());
  if (loop_.metrics_ != nullptr && now - slot_reported_at_ >= absl::Seconds(5)) ReportSlot();
  if (loop_.metrics_ != nullptr) {
    const auto oldest = std::find_if(in_flight_.begin(), in_flight_.end(), [](const InFlight& one) {
      return one.commit_time != kOldestTime;
    });
    loop_.metrics_->Lag(
        oldest == in_flight_.end()
            ? 0
            : absl::ToDoubleSeconds(now - absl::FromUnixMicros(oldest->commit_time)));
  }
  std::scoped_lock lock(loop_.mutex_);
  loop_.state_.decoded_through = decoded_through_;
  loop_.state_.durable_through = durable_through_;
  loop_.state_.published = last_published_.commit_lsn;
  loop_.state_.sequence = last_published_.sequence;
  loop_.state_.confirmed = confirmed_;
  return absl::OkStatus();
}

RecordHeader CaptureRun::NewHeader(RecordKind kind) const {
  return {.kind = kind,
          .group = options_.group,
          .origin = options_.region,
          .set = options_.set,
          .rank = options_.rank,
          .policy_hash = options_.policy_hash,
          .incarnation = options_.incarnation,
          .writer_epoch = options_.writer_epoch,
          .sequence = last_published_.sequence,
          .previous_sequence = last_published_.sequence == 0 ? 0 : last_published_.sequence - 1,
          .commit_lsn = last_published_.commit_lsn,
          .commit_time = last_published_.commit_time,
          .sent_at = absl::ToUnixMicros(absl::Now()),
          .closed_time = closed_time_};
}

absl::Status CaptureRun::Announce() {
  Record record{.header = NewHeader(RecordKind::kAnnouncement)};
  record.policy_text = options_.policy_text;
  PGDUET_RETURN_IF_ERROR(Append(std::move(record)));
  return SendHeartbeat();
}

absl::Status CaptureRun::SendHeartbeat() {
  Record record{.header = NewHeader(RecordKind::kHeartbeat), .has_vector = true, .vector = vector_};
  // Nothing that was published may be behind what the heartbeat claims.
  record.header.through_lsn = std::max(decoded_through_, durable_through_);
  const Lsn through = record.header.through_lsn;
  PGDUET_RETURN_IF_ERROR(Append(std::move(record)));
  in_flight_.push_back({writer_->AppendedCount() + held_.size(), through, kOldestTime});
  heartbeat_at_ = absl::Now();
  vector_moved_ = false;
  if (loop_.metrics_ != nullptr) loop_.metrics_->HeartbeatSent();
  return absl::OkStatus();
}

absl::Status CaptureRun::Append(Record record) {
  for (std::string& bytes : EncodeRecord(record)) {
    if (loop_.metrics_ != nullptr) loop_.metrics_->RecordAppended(bytes.size());
    if (held_.empty() && !loop_.observer_.PutsOff()) {
      PGDUET_RETURN_IF_ERROR(AppendBytes(bytes));
      continue;
    }
    held_bytes_ += bytes.size();
    held_.push_back(std::move(bytes));
  }
  return held_bytes_ < kHeldBytesMax ? absl::OkStatus() : Release();
}

absl::Status CaptureRun::AppendBytes(const std::string& bytes) {
  while (true) {
    const absl::Status status = writer_->Append(bytes);
    if (!absl::IsResourceExhausted(status)) return status;
    if (stop_.stop_requested()) return absl::CancelledError("stopped while the log was full");
    // Who applies here must not wait for our log.
    PGDUET_RETURN_IF_ERROR(loop_.observer_.RoundEnds());
    // The server must hear from us while we wait, or it ends the stream (wal_sender_timeout).
    PGDUET_RETURN_IF_ERROR(writer_->Wait(absl::Milliseconds(50)));
    loop_.rounds_.fetch_add(1, std::memory_order_relaxed);
    CollectDurable();
    if (absl::Now() - feedback_at_ >= options_.feedback_interval)
      PGDUET_RETURN_IF_ERROR(Feedback());
  }
}

void CaptureRun::CollectDurable() {
  const uint64_t durable = writer_->DurableCount();
  while (!in_flight_.empty() && in_flight_.front().appended <= durable) {
    durable_through_ = std::max(durable_through_, in_flight_.front().through);
    in_flight_.pop_front();
  }
}

absl::Status CaptureRun::Feedback() {
  // Only what this run has seen itself: the observer must have had its look at it.
  const Lsn wanted = std::min(durable_through_, decoded_through_);
  confirmed_ = std::max(confirmed_, loop_.observer_.DurableThrough(wanted));
  feedback_at_ = absl::Now();
  return stream_->SendFeedback(confirmed_);
}

void CaptureRun::ReportSlot() {
  slot_reported_at_ = absl::Now();
  absl::StatusOr<PgResult> slot = control_->Query(
      "SELECT active, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0), "
      "coalesce(safe_wal_size, -1) "
      "FROM pg_catalog.pg_replication_slots WHERE slot_name = $1",
      {options_.slot});
  if (slot.ok() && slot->rows() == 1) {
    loop_.metrics_->Slot(slot->Bool(0, 0), static_cast<double>(slot->Int(0, 1)),
                         static_cast<double>(slot->Int(0, 2)));
  }
}

absl::Status CaptureRun::TransactionBegins(const LocalTransaction& transaction) {
  loop_.observer_.LocalTransactionDecoded(transaction);
  next_chunk_ = 0;
  return absl::OkStatus();
}

absl::Status CaptureRun::Chunk(const LocalTransaction& transaction, ChangeBatch batch, bool last,
                               Lsn end_lsn) {
  PGDUET_ASSIGN_OR_RETURN(const uint64_t unavailable,
                          unchanged_values_.Complete(transaction, batch));
  if (loop_.metrics_ != nullptr) loop_.metrics_->ValuesUnavailable(unavailable);
  PGDUET_RETURN_IF_ERROR(CheckRowSizes(batch));
  PGDUET_RETURN_IF_ERROR(loop_.observer_.LocalChanges(transaction, batch));
  if (AlreadyPublished(transaction)) return absl::OkStatus();
  if (next_chunk_ == 0) {
    last_published_ = {.incarnation = options_.incarnation,
                       .sequence = last_published_.sequence + 1,
                       .commit_lsn = transaction.commit_lsn,
                       .commit_time = transaction.commit_time};
    vector_.Set(options_.rank, last_published_);
  }
  Record record{.header = NewHeader(RecordKind::kTransaction),
                .has_vector = next_chunk_ == 0 || last,
                .vector = vector_};
  record.header.xid = transaction.xid;
  record.header.chunk = next_chunk_++;
  record.header.last = last;
  record.header.through_lsn = end_lsn;
  if (loop_.metrics_ != nullptr) loop_.metrics_->ChangesPublished(batch);
  record.batch = std::move(batch);
  PGDUET_RETURN_IF_ERROR(Append(std::move(record)));
  in_flight_.push_back({writer_->AppendedCount() + held_.size(), end_lsn, transaction.commit_time});
  if (!last) return absl::OkStatus();
  if (loop_.metrics_ != nullptr) loop_.metrics_->TransactionPublished();
  // A transaction says as much as a heartbeat.
  heartbeat_at_ = absl::Now();
  vector_moved_ = false;
  return absl::OkStatus();
}

void CaptureRun::Applied(const AppliedMarker& marker) {
  if (loop_.metrics_ != nullptr) loop_.metrics_->TransactionFiltered();
  if (marker.rank == kInternalRank) return;
  loop_.observer_.RemoteApplied(marker.rank, marker.position);
  vector_.Advance(marker.rank, marker.position);
  vector_moved_ = true;
}

void CaptureRun::Barrier(std::string_view token) {
  loop_.observer_.BarrierDecoded(token);
  awaited_passed_ = true;
}

void CaptureRun::TimeClosed(CommitTime time) {
  closed_time_ = std::max(closed_time_, time);
  loop_.observer_.TimeClosed(time);
}

// It may be said again after a restart: readers know it by its number.
absl::Status CaptureRun::PolicyNoticed(std::string_view notice) {
  Record record{.header = NewHeader(RecordKind::kNotice)};
  record.notice = std::string(notice);
  vector_moved_ = true;  // a heartbeat soon: somebody waits until this is durable
  return Append(std::move(record));
}

void CaptureRun::TransactionEnds(Lsn end_lsn) {
  decoded_through_ = std::max(decoded_through_, end_lsn);
  loop_.observer_.DecodedThrough(decoded_through_);
}

}  // namespace pgduet
