#include "agent/region_engine.h"

#include <algorithm>
#include <set>

#include <absl/time/clock.h>

#include "agent/direct_peer.h"
#include "agent/names.h"
#include "agent/policy_text.h"
#include "agent/setup/findings.h"
#include "agent/table_policies.h"
#include "apply/target_session.h"
#include "apply/wal_flush.h"
#include "base/backoff.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "capture/capture_run.h"
#include "schemas/sidecar.h"
#include "transport/kafka_admin.h"
#include "transport/kafka_feed.h"
#include "transport/kafka_log.h"

namespace pgduet {
namespace {

KafkaLogOptions LogOptions(const Config& config, const RegionConfig& owner,
                           const RegionConfig& reader) {
  KafkaLogOptions options;
  options.kafka = {.brokers = owner.kafka_brokers,
                   .properties = config.kafka_properties,
                   .client_id = ClientId(config, reader.name)};
  options.topic = TopicName(config.group, owner.name, config.set);
  options.group = config.group;
  options.origin = owner.name;
  options.set = config.set;
  return options;
}

std::set<std::string> ParkingTables(const Config& config) {
  std::set<std::string> tables;
  for (const TableConfig& table : config.tables) {
    if (table.on_unique == "park_loser") tables.insert(table.QuotedName());
  }
  return tables;
}

// Before a gate closes: what is behind must not take long to apply.
constexpr double kCaughtUpSeconds = 5;

StreamStatus Describe(std::string name, std::string state, const absl::Status& error) {
  StreamStatus status{.name = std::move(name), .state = std::move(state)};
  if (error.ok()) return status;
  status.error = ErrorName(error);
  status.message = std::string(error.message());
  status.remedy = ErrorRemedy(error);
  return status;
}

double SecondsSince(CommitTime time) {
  return time <= 0 ? -1
                   : std::max(0.0, absl::ToDoubleSeconds(absl::Now() - absl::FromUnixMicros(time)));
}

}  // namespace

RegionEngine::RegionEngine(ActivePolicies active, const RegionConfig& region,
                           RegionIdentity identity, prometheus::Registry& registry)
    : previous_policy_hash_(active.previous_hash),
      changed_tables_(active.changed.tables),
      config_(std::move(active.config)),
      region_(region),
      identity_(std::move(identity)),
      policies_(VersionedTables(config_), std::move(active.changed)),
      apply_metrics_(registry, identity_.regions),
      capture_metrics_(registry),
      applied_(static_cast<int>(identity_.regions.size())),
      history_(identity_, {}),
      parking_(ParkingTables(config_)),
      foreign_keys_(ReplicatedTables(config_)),
      journal_(region.postgres, identity_, policies_, registry_, parking_, foreign_keys_),
      policy_journal_(region.postgres, identity_, policies_, applied_),
      watch_(region.postgres, identity_, applied_, history_, registry_, journal_, policy_journal_,
             parking_),
      capture_(
          OwnCapture(),
          [this]() -> absl::StatusOr<std::unique_ptr<LogWriter>> {
            if (config_.transport == TransportKind::kDirect)
              return std::make_unique<DiscardingLogWriter>();
            PGDUET_RETURN_IF_ERROR(CheckTopic(region_));
            return KafkaLogWriter::Open(LogOptions(config_, region_, region_));
          },
          watch_, &capture_metrics_),
      housekeeper_(region.postgres, identity_, policies_, applied_, history_, registry_, parking_,
                   foreign_keys_, apply_metrics_,
                   {.keep = config_.conflict_keep, .max_rows = config_.conflict_max_rows}),
      orphans_(region.postgres, identity_, foreign_keys_, apply_metrics_) {
  capture_.OnState([this](const std::string& error) {
    apply_metrics_.StreamState("capture", error);
    if (!error.empty()) watch_.CaptureFailed(error);
  });
  capture_.OnInterruption(
      [this](const absl::Status& status) { watch_.CaptureFailed(ErrorName(status)); });
  for (const RegionConfig& peer : config_.regions) {
    if (peer.rank != identity_.rank) AddPeer(peer);
  }
  if (config_.conflict_topic) AddConflictFeed();
}

RegionEngine::~RegionEngine() { Stop(); }

CaptureOptions RegionEngine::OwnCapture() const {
  return {.conninfo = region_.postgres,
          .slot = SlotName(config_.group, config_.set),
          .publication = PublicationName(config_.group, config_.set),
          .group = config_.group,
          .set = config_.set,
          .region = region_.name,
          .rank = identity_.rank,
          .incarnation = identity_.incarnation,
          .system_identifier = identity_.system_identifier,
          .timeline = identity_.timeline,
          .baseline_lsn = identity_.baseline_lsn,
          .policy_hash = PolicyHash(config_),
          .policy_text = CanonicalPolicyText(config_),
          .writer_epoch = identity_.writer_epoch,
          .position_is_slot = config_.transport == TransportKind::kDirect};
}

void RegionEngine::AddPeer(const RegionConfig& peer) {
  OriginApplier::ReaderFactory make_reader =
      [this, peer]() -> absl::StatusOr<std::unique_ptr<LogReader>> {
    PGDUET_RETURN_IF_ERROR(CheckTopic(peer));
    KafkaLogOptions options = LogOptions(config_, peer, region_);
    options.consumer_group = ConsumerGroup(config_, region_.name);
    return KafkaLogReader::Open(std::move(options));
  };
  if (config_.transport == TransportKind::kDirect) {
    direct_peers_.push_back(std::make_unique<DirectPeer>(config_, region_, peer, identity_));
    make_reader = [direct = direct_peers_.back().get()] { return direct->MakeReader(); };
  }
  appliers_.push_back(std::make_unique<OriginApplier>(
      OriginApplier::Options{
          .conninfo = region_.postgres,
          .origin = peer.rank,
          .policy_hash = PolicyHash(config_),
          .policy_text = CanonicalPolicyText(config_),
          .previous_policy_hash = previous_policy_hash_,
          .changed_tables = changed_tables_,
          .max_clock_skew = config_.max_clock_skew,
          .batch_transactions_max = static_cast<size_t>(config_.batch_transactions)},
      identity_, policies_, applied_, history_, registry_, parking_, foreign_keys_, watch_,
      std::move(make_reader), apply_metrics_));
  applier_names_.push_back(peer.name);
}

void RegionEngine::AddConflictFeed() {
  const auto send = [this, feed = std::shared_ptr<KafkaFeed>()](
                        const std::vector<FeedMessage>& entries) mutable -> absl::Status {
    if (feed == nullptr) {
      PGDUET_ASSIGN_OR_RETURN(
          feed, KafkaFeed::Open(LogOptions(config_, region_, region_).kafka,
                                ConflictTopicName(config_.group, region_.name, config_.set)));
    }
    const absl::Status status = feed->Send(entries);
    if (!status.ok()) feed.reset();
    return status;
  };
  conflict_feed_ =
      std::make_unique<ConflictFeed>(region_.postgres, identity_, send, apply_metrics_);
}

// A topic's settings can be changed under us: what would lose records or their order is not used.
// The first problem stands for all.
absl::Status RegionEngine::CheckTopic(const RegionConfig& owner) const {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaAdmin> admin,
                          KafkaAdmin::Open(LogOptions(config_, owner, region_).kafka));
  const std::vector<absl::Status> problems = admin->CheckTopic(
      TopicName(config_.group, owner.name, config_.set), config_.kafka_retention_min);
  return problems.empty() ? absl::OkStatus() : problems.front();
}

absl::Status RegionEngine::Start() {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(region_.postgres, config_.set, "start")));
  PGDUET_RETURN_IF_ERROR(CheckCommitTimestamps(*connection));
  // A counter on a column of text, say: what would be applied then, no later version could mend.
  Findings findings;
  CheckPolicies(config_, *connection, findings);
  CheckForeignKeys(config_, *connection, findings);
  PGDUET_RETURN_IF_ERROR(connection->ConnectionStatus());
  PGDUET_RETURN_IF_ERROR(FirstError(findings));
  PGDUET_RETURN_IF_ERROR(
      FlushWal(*connection, identity_.messages));  // what is loaded now, a crash must not take back
  PGDUET_RETURN_IF_ERROR(LoadTombstones(*connection, registry_));
  PGDUET_RETURN_IF_ERROR(LoadHorizons(*connection, history_));
  PGDUET_RETURN_IF_ERROR(LoadCrowded(*connection, parking_));
  PGDUET_RETURN_IF_ERROR(foreign_keys_.Load(*connection));
  capture_thread_ = std::jthread([this](std::stop_token stop) { capture_.Run(std::move(stop)); });
  for (auto& peer : direct_peers_) peer->Start();
  for (auto& applier : appliers_) applier->Start();
  housekeeper_.Start();
  orphans_.Start();
  if (conflict_feed_ != nullptr) conflict_feed_->Start();
  lag_thread_ = std::jthread([this](std::stop_token stop) { WatchLag(std::move(stop)); });
  return absl::OkStatus();
}

void RegionEngine::Stop() {
  lag_thread_.request_stop();
  // Appliers first: a barrier that they wait for needs the capture.
  for (auto& applier : appliers_) applier->Stop();
  for (auto& peer : direct_peers_) peer->Stop();
  housekeeper_.Stop();
  orphans_.Stop();
  if (conflict_feed_ != nullptr) conflict_feed_->Stop();
  capture_thread_.request_stop();
  if (capture_thread_.joinable()) capture_thread_.join();
  if (lag_thread_.joinable()) lag_thread_.join();
}

// Lag is the age of what is in effect here: it grows by itself while a stream is blocked or its
// peer is silent.
void RegionEngine::WatchLag(std::stop_token stop) {
  NameThisThread("lag");
  while (SleepFor(absl::Milliseconds(500), stop)) {
    for (size_t index = 0; index < appliers_.size(); ++index) {
      const OriginApplier::State state = appliers_[index]->GetState();
      const Rank origin = config_.FindRegion(applier_names_[index])->rank;
      if (state.in_effect_up_to > 0)
        apply_metrics_.Idle(origin, SecondsSince(state.in_effect_up_to));
      if (state.heartbeat_at != absl::InfinitePast()) {
        apply_metrics_.HeartbeatAge(origin,
                                    absl::ToDoubleSeconds(absl::Now() - state.heartbeat_at));
      }
    }
  }
}

std::vector<StreamStatus> RegionEngine::Streams() const {
  const CaptureLoop::State capture = capture_.GetState();
  std::vector<StreamStatus> streams = {Describe("capture", capture.state, capture.error)};
  streams[0].sequence = capture.sequence;
  streams[0].commit_lsn = capture.published.ToString();
  streams[0].through_lsn = capture.decoded_through.ToString();
  streams[0].confirmed_lsn = capture.confirmed.ToString();
  for (size_t index = 0; index < appliers_.size(); ++index) {
    const OriginApplier::State state = appliers_[index]->GetState();
    absl::Status error = state.error;
    std::string name = state.state;
    if (error.ok() && !direct_peers_.empty()) {
      error = direct_peers_[index]->error();
      if (!error.ok())
        name = "reconnecting";  // nothing arrives, though what has arrived is applied
    }
    StreamStatus stream = Describe(applier_names_[index], std::move(name), error);
    stream.sequence = state.applied.sequence;
    stream.commit_lsn = state.applied.commit_lsn.ToString();
    stream.log_offset = state.log_offset;
    stream.lag_seconds = SecondsSince(state.in_effect_up_to);
    if (state.heartbeat_at != absl::InfinitePast()) {
      stream.heartbeat_age_seconds = absl::ToDoubleSeconds(absl::Now() - state.heartbeat_at);
    }
    streams.push_back(std::move(stream));
  }
  return streams;
}

EnginePlace RegionEngine::Place() const {
  const CaptureLoop::State capture = capture_.GetState();
  const bool streams = capture.state == "streaming";
  EnginePlace place{.decoded = streams ? capture.decoded_through : Lsn(),
                    .durable = streams ? capture.durable_through : Lsn(),
                    .caught_up = {}};
  for (size_t index = 0; index < appliers_.size(); ++index) {
    const OriginApplier::State state = appliers_[index]->GetState();
    const double lag = SecondsSince(state.in_effect_up_to);
    place.caught_up[config_.FindRegion(applier_names_[index])->rank] =
        state.error.ok() && lag >= 0 && lag < kCaughtUpSeconds;
  }
  return place;
}

std::vector<uint64_t> RegionEngine::Rounds() const {
  std::vector<uint64_t> rounds = {capture_.rounds()};
  for (const auto& applier : appliers_) rounds.push_back(applier->rounds());
  return rounds;
}

}  // namespace pgduet
