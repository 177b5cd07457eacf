#include "agent/direct_peer.h"

#include <fmt/format.h>

#include "agent/names.h"
#include "agent/policy_text.h"
#include "agent/region_agent.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "schemas/sidecar.h"
#include "transport/policy_difference.h"

namespace pgduet {
namespace {

// A peer's local deletes are the business of the peer's own agent.
class NoObserver : public LocalObserver {
 public:
  void LocalTransactionDecoded(const LocalTransaction&) override {}
  absl::Status LocalChanges(const LocalTransaction&, const ChangeBatch&) override {
    return absl::OkStatus();
  }
  void BarrierDecoded(std::string_view) override {}
  void TimeClosed(CommitTime) override {}
  void DecodedThrough(Lsn) override {}
  Lsn DurableThrough(Lsn wanted) override { return wanted; }
};

}  // namespace

DirectPeer::DirectPeer(const Config& config, const RegionConfig& self, const RegionConfig& peer,
                       const RegionIdentity& identity)
    : config_(config),
      self_(self),
      peer_(peer),
      identity_(identity),
      log_(DirectLog::Create([this] { return ReadTail(); })) {}

void DirectPeer::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
  policy_thread_ = std::jthread([this](std::stop_token stop) { WatchPolicy(std::move(stop)); });
}

void DirectPeer::Stop() {
  for (std::jthread* thread : {&thread_, &policy_thread_}) {
    thread->request_stop();
    if (thread->joinable()) thread->join();
  }
}

absl::StatusOr<std::unique_ptr<LogReader>> DirectPeer::MakeReader() { return log_->OpenReader(); }

absl::Status DirectPeer::error() const {
  std::scoped_lock lock(mutex_);
  return error_.ok() ? policy_error_ : error_;
}

void DirectPeer::SetError(const absl::Status& error) {
  {
    std::scoped_lock lock(mutex_);
    error_ = error;
  }
  TellReader();
}

void DirectPeer::SetPolicyError(const absl::Status& error) {
  {
    std::scoped_lock lock(mutex_);
    policy_error_ = error;
  }
  TellReader();
}

// What somebody has to mend stops the applier, too: its stream says so in its state, metrics and
// log.
void DirectPeer::TellReader() {
  const absl::Status now = error();
  const bool stands =
      absl::IsFailedPrecondition(now) || absl::IsDataLoss(now) || absl::IsInvalidArgument(now);
  log_->SetFault(stands ? now : absl::OkStatus());
}

// The peer's agent notes its policies in its database at each start; the records that we make of
// its WAL do not tell them.
void DirectPeer::WatchPolicy(std::stop_token stop) {
  NameThisThread(("policy " + peer_.name).substr(0, 15).c_str());
  const std::string ours = CanonicalPolicyText(config_);
  std::unique_ptr<PgConnection> connection;
  do {
    if (connection == nullptr) {
      auto opened = PgConnection::Open(SetSession(peer_.postgres, config_.set, "policy"));
      if (!opened.ok()) continue;
      connection = *std::move(opened);
    }
    // In one look: the peer may switch at any moment.
    absl::StatusOr<PgResult> row = connection->Query(
        "SELECT i.policy_text, coalesce(c.policy_text, '') FROM pgduet.identity i LEFT JOIN "
        "pgduet.policy_change c ON c.state IN ('fenced', 'voted')");
    if (!row.ok() || row->rows() != 1) {
      connection.reset();
      continue;
    }
    const std::string theirs(row->Text(0, 0));
    const bool differs = !theirs.empty() && theirs != ours && row->Text(0, 1) != ours;
    SetPolicyError(differs && !MovesTo(theirs)
                       ? PolicyMismatch(DescribePolicyDifference(ours, theirs))
                       : absl::OkStatus());
  } while (SleepFor(absl::Seconds(2), stop));
}

// The peer has switched, and we are about to: the marks in the streams keep the two sets apart.
bool DirectPeer::MovesTo(const std::string& theirs) const {
  const auto self = PgConnection::Open(SetSession(self_.postgres, config_.set, "policy"));
  if (!self.ok()) return false;
  const absl::StatusOr<PgResult> row = (*self)->Query(
      "SELECT EXISTS (SELECT FROM pgduet.policy_change WHERE state IN ('fenced', 'voted') AND "
      "policy_text = $1)",
      {theirs});
  return row.ok() && row->Bool(0, 0);
}

absl::StatusOr<std::optional<LogTail>> DirectPeer::ReadTail() const {
  PGDUET_ASSIGN_OR_RETURN(
      const std::unique_ptr<PgConnection> connection,
      PgConnection::Open(SetSession(self_.postgres, config_.set, "direct tail")));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      connection->Query(
          "SELECT p.incarnation, p.sequence, p.commit_lsn, (extract(epoch FROM p.commit_time) * "
          "1000000)::bigint, "
          "greatest(p.through_lsn, h.through_lsn), "
          "CASE WHEN h.log_offset > coalesce(p.log_offset, -1) THEN h.vector ELSE p.vector END, "
          "h.incarnation "
          "FROM (SELECT $1::smallint AS rank) o "
          "LEFT JOIN LATERAL (SELECT * FROM pgduet.progress p WHERE p.origin_rank = o.rank "
          "ORDER BY p.sequence DESC LIMIT 1) p ON true "
          "LEFT JOIN pgduet.heartbeat h ON h.origin_rank = o.rank",
          {std::to_string(peer_.rank)}));
  if (row.IsNull(0, 0) && row.IsNull(0, 6)) return std::nullopt;
  LogTail tail;
  const std::string incarnation(row.Text(0, row.IsNull(0, 0) ? 6 : 0));
  tail.incarnation = std::strtoull(incarnation.c_str(), nullptr, 16);
  tail.vector = DecodeVector(std::string(row.Text(0, 5)));
  PGDUET_ASSIGN_OR_RETURN(tail.through_lsn, Lsn::Parse(row.Text(0, 4)));
  if (row.IsNull(0, 0)) return tail;
  tail.sequence = static_cast<uint64_t>(row.Int(0, 1));
  PGDUET_ASSIGN_OR_RETURN(const Lsn commit_lsn, Lsn::Parse(row.Text(0, 2)));
  tail.last = {.incarnation = tail.incarnation,
               .sequence = tail.sequence,
               .commit_lsn = commit_lsn,
               .commit_time = row.Int(0, 3)};
  return tail;
}

void DirectPeer::Run(std::stop_token stop) {
  NameThisThread(("capture " + peer_.name).substr(0, 15).c_str());
  Backoff backoff;
  std::string last_error;
  absl::StatusOr<RegionIdentity> peer = absl::UnavailableError("not asked yet");
  while (!stop.stop_requested()) {
    peer = LoadIdentity(peer_.postgres, config_, peer_.name, /*new_run=*/false);
    SetError(peer.status());
    if (peer.ok()) break;
    if (ErrorName(peer.status()) != last_error)
      LogWarning("capture", "peer is not there yet", peer.status(), {{"origin", peer_.name}});
    last_error = ErrorName(peer.status());
    SleepFor(backoff.Next(), stop);
  }
  if (stop.stop_requested()) return;
  NoObserver observer;
  CaptureLoop capture(
      {.conninfo = peer_.postgres,
       .slot = PeerSlotName(config_.group, config_.set, self_.name),
       .publication = PublicationName(config_.group, config_.set),
       .group = config_.group,
       .set = config_.set,
       .region = peer_.name,
       .rank = peer_.rank,
       .incarnation = peer->incarnation,
       .system_identifier = peer->system_identifier,
       .timeline = peer->timeline,
       .baseline_lsn = peer->baseline_lsn,
       .policy_hash = PolicyHash(config_),
       .policy_text = CanonicalPolicyText(config_),
       .writer_epoch = identity_.writer_epoch},
      [this]() -> absl::StatusOr<std::unique_ptr<LogWriter>> { return log_->OpenWriter(); },
      observer,
      /*metrics=*/nullptr);
  capture.OnState([&](const std::string&) { SetError(capture.GetState().error); });
  capture.OnInterruption([&](const absl::Status& status) { SetError(status); });
  capture.Run(stop);
}

}  // namespace pgduet
