#include "apply/local_watch.h"

#include <algorithm>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "apply/housekeeper.h"
#include "apply/sole_writer.h"
#include "apply/wal_flush.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {

LocalWatch::LocalWatch(std::string conninfo, const RegionIdentity& identity, AppliedState& applied,
                       CoverageHistory& history, TombstoneRegistry& registry,
                       DeleteJournal& journal, PolicyJournal& policies, ParkingLot& parking)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      applied_(applied),
      history_(history),
      registry_(registry),
      journal_(journal),
      policies_(policies),
      parking_(parking),
      run_(fmt::format("{:08x}", std::random_device{}())) {}

absl::Status LocalWatch::StreamBegins() {
  passed_ = {};
  journal_.StreamBegins();
  PGDUET_RETURN_IF_ERROR(BecomeSoleWriter());
  PGDUET_RETURN_IF_ERROR(policies_.StreamBegins());
  SetMayApply(true);
  return absl::OkStatus();
}

// Another agent may have written tombstones since ours were loaded.
absl::Status LocalWatch::BecomeSoleWriter() {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(conninfo_, identity_.set, "sole writer")));
  PGDUET_RETURN_IF_ERROR(EndOtherWriters(*connection, identity_.set, identity_.writer_epoch));
  PGDUET_RETURN_IF_ERROR(FlushWal(*connection, identity_.messages));
  return LoadTombstones(*connection, registry_);
}

// Who has the slot now is the writer. Any other error says nothing about who is; a capture that
// cannot begin for it does not keep the other streams from going on.
void LocalWatch::CaptureFailed(std::string_view error) {
  SetMayApply(error != "slot_active" && error != "former_agent");
}

void LocalWatch::SetMayApply(bool may_apply) {
  std::scoped_lock lock(mutex_);
  may_apply_ = may_apply;
  decoded_.notify_all();
}

bool LocalWatch::WaitSoleWriter(absl::Duration timeout, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return decoded_.wait_for(lock, stop, absl::ToChronoNanoseconds(timeout),
                           [&] { return may_apply_; });
}

void LocalWatch::RemoteApplied(Rank origin, const Position& position) {
  policies_.RemoteApplied(origin, position);
}

void LocalWatch::LocalTransactionDecoded(const LocalTransaction& transaction) {
  history_.LocalCommitted(transaction.xid, transaction.commit_time, transaction.commit_lsn);
}

absl::Status LocalWatch::LocalChanges(const LocalTransaction& transaction,
                                      const ChangeBatch& batch) {
  PGDUET_RETURN_IF_ERROR(journal_.Record(transaction, batch));
  PGDUET_RETURN_IF_ERROR(policies_.Record(transaction, batch));
  for (const auto& relation : batch.relations) parking_.Changed(relation->oid);
  return absl::OkStatus();
}

void LocalWatch::BarrierDecoded(std::string_view token) { passed_.tokens.emplace_back(token); }

void LocalWatch::TimeClosed(CommitTime time) {
  passed_.closed_time = std::max(passed_.closed_time, time);
}

void LocalWatch::DecodedThrough(Lsn lsn) { passed_.lsn = lsn; }

bool LocalWatch::PutsOff() const { return journal_.HasRecorded(); }

absl::Status LocalWatch::RoundEnds() {
  PGDUET_RETURN_IF_ERROR(journal_.Flush());
  PGDUET_RETURN_IF_ERROR(policies_.Flush());
  Tell();
  return absl::OkStatus();
}

void LocalWatch::Tell() {
  const Passed passed = std::exchange(passed_, {});
  if (passed.lsn.valid()) policies_.DecodedThrough(passed.lsn);
  std::scoped_lock lock(mutex_);
  if (passed.lsn.valid()) {
    // What was journaled since may be lost, and comes again.
    if (passed.lsn < decoded_through_) applied_.OwnTimeReopened(identity_.rank);
    decoded_through_ = passed.lsn;
  }
  if (passed.closed_time != kOldestTime) applied_.OwnTimeClosed(identity_.rank, passed.closed_time);
  for (const std::string& token : passed.tokens) awaited_.erase(token);
  decoded_.notify_all();
}

bool LocalWatch::WaitDecoded(Lsn commit_lsn, absl::Duration timeout, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return decoded_.wait_for(lock, stop, absl::ToChronoNanoseconds(timeout),
                           [&] { return decoded_through_ > commit_lsn || !commit_lsn.valid(); });
}

Lsn LocalWatch::DurableThrough(Lsn wanted) {
  return policies_.DurableThrough(journal_.DurableThrough(wanted));
}

Lsn LocalWatch::Decoded() const {
  std::scoped_lock lock(mutex_);
  return decoded_through_;
}

absl::StatusOr<std::string> LocalWatch::EmitToken() {
  std::string token;
  {
    std::scoped_lock lock(mutex_);
    token = fmt::format("{}-{}", run_, next_token_++);
    awaited_.insert(token);
  }
  std::scoped_lock lock(connection_mutex_);
  if (connection_ == nullptr) {
    PgConnection::Options session = SetSession(conninfo_, identity_.set, "barrier");
    session.settings.clear();
    PGDUET_ASSIGN_OR_RETURN(connection_, PgConnection::Open(session));
    // Its commit must be flushed at once, with everything before it: only flushed WAL is decoded.
    PGDUET_RETURN_IF_ERROR(connection_->Query("SET synchronous_commit = local").status());
  }
  const absl::Status sent =
      connection_
          ->Query("SELECT pg_catalog.pg_logical_emit_message(true, $1, $2::text)",
                  {identity_.messages.barrier, token})
          .status();
  if (!sent.ok()) {
    connection_.reset();
    return sent;
  }
  return token;
}

absl::Status LocalWatch::Wait(absl::Duration timeout, std::stop_token stop) {
  PGDUET_ASSIGN_OR_RETURN(const std::string token, EmitToken());
  std::unique_lock lock(mutex_);
  const bool reached = decoded_.wait_for(lock, stop, absl::ToChronoNanoseconds(timeout),
                                         [&] { return !awaited_.contains(token); });
  if (reached) return absl::OkStatus();
  awaited_.erase(token);
  if (stop.stop_requested()) return absl::CancelledError("stopped while waiting for the decoder");
  return NamedError(absl::StatusCode::kDeadlineExceeded, "decoder_behind",
                    "capture has not reached the barrier in time");
}

}  // namespace pgduet
