#include "agent/region_agent.h"

#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "agent/policy_changer.h"
#include "agent/policy_text.h"
#include "agent/region_engine.h"
#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

// A thread that makes no round for this long is stuck. Long statements (a huge transaction) count
// as rounds only at their end.
constexpr absl::Duration kStuckAfter = absl::Minutes(10);

absl::Status NotInitialized(const Config& config, std::string_view detail) {
  const std::string option = config.set == kMainSet ? "" : " --set " + config.set;
  return NamedError(absl::StatusCode::kFailedPrecondition, "not_initialized",
                    fmt::format("this database is not set up for pgduet: {}", detail),
                    fmt::format("Run 'pgduet init{}' for this region.", option));
}

absl::Status CheckIdentity(const PgResult& row, const Config& config, const RegionConfig& region) {
  const auto differs = [](std::string_view what, std::string_view database, std::string_view file) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "identity_mismatch",
        fmt::format("the database was set up as another {}: database={} config={}", what, database,
                    file),
        "Check --region and the region's conninfo; two regions must not share a database.");
  };
  if (row.Text(0, 0) != config.group) return differs("group", row.Text(0, 0), config.group);
  if (row.Text(0, 9) != config.set) return differs("set", row.Text(0, 9), config.set);
  if (row.Text(0, 1) != region.name) return differs("region", row.Text(0, 1), region.name);
  if (row.Int(0, 2) != region.rank) {
    return differs("rank", row.Text(0, 2), std::to_string(region.rank));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint32_t>> LoadBaselineXids(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query(
          "SELECT (x & 4294967295)::text FROM pgduet.identity i, "
          "generate_series(pg_snapshot_xmin(i.baseline_snapshot)"
          "::text::bigint, pg_snapshot_xmax(i.baseline_snapshot)::text::bigint - 1) x "
          "WHERE pg_visible_in_snapshot(x::text::xid8, i.baseline_snapshot) LIMIT 1000000"));
  std::vector<uint32_t> xids;
  for (int row = 0; row < rows.rows(); ++row)
    xids.push_back(static_cast<uint32_t>(rows.Int(row, 0)));
  return xids;
}

}  // namespace

absl::Status CheckSidecarVersion(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult version,
                          connection.Query("SELECT schema_version FROM pgduet.identity"));
  if (version.rows() != 1 || version.Int(0, 0) == kSidecarVersion) return absl::OkStatus();
  return NamedError(absl::StatusCode::kFailedPrecondition, "sidecar_version",
                    fmt::format("the sidecar schema is of another version: found={} needed={}",
                                version.Int(0, 0), kSidecarVersion),
                    "Run 'pgduet init' for this region with the version that the agent has.");
}

namespace {

absl::StatusOr<PgResult> ReadIdentity(PgConnection& connection, bool new_run) {
  constexpr char kColumns[] =
      "group_name, region, rank, incarnation, baseline_lsn, "
      "pg_snapshot_xmin(baseline_snapshot)::text, system_identifier, "
      "timeline, writer_epoch, set_name";
  if (!new_run) return connection.Query(fmt::format("SELECT {} FROM pgduet.identity", kColumns));
  // First: an older sidecar lacks a column that a run writes.
  PGDUET_RETURN_IF_ERROR(CheckSidecarVersion(connection));
  return connection.Query(fmt::format(
      "UPDATE pgduet.identity SET writer_epoch = writer_epoch + 1 RETURNING {}", kColumns));
}

}  // namespace

absl::StatusOr<RegionIdentity> LoadIdentity(const std::string& conninfo, const Config& config,
                                            const std::string& region_name, bool new_run) {
  const RegionConfig& region = *config.FindRegion(region_name);
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(conninfo, config.set, "start")));
  absl::StatusOr<PgResult> row = ReadIdentity(*connection, new_run);
  if (!row.ok()) {
    const std::string state = SqlState(row.status());
    if (state == "42P01" || state == "3F000" || state == "42501")
      return NotInitialized(
          config, fmt::format("no readable table {}.identity", SidecarSchema(config.set)));
    return row.status();
  }
  if (row->rows() != 1)
    return NotInitialized(config, SidecarSchema(config.set) + ".identity is empty");
  PGDUET_RETURN_IF_ERROR(CheckIdentity(*row, config, region));
  RegionIdentity identity{
      .group = config.group, .set = config.set, .regions = {}, .rank = region.rank};
  for (const RegionConfig& one : config.regions) identity.regions.push_back(one.name);
  identity.incarnation = std::strtoull(std::string(row->Text(0, 3)).c_str(), nullptr, 16);
  PGDUET_ASSIGN_OR_RETURN(identity.baseline_lsn, Lsn::Parse(row->Text(0, 4)));
  identity.baseline_xid = static_cast<uint64_t>(row->Int(0, 5));
  identity.system_identifier = row->Text(0, 6);
  identity.timeline = static_cast<int>(row->Int(0, 7));
  identity.writer_epoch = static_cast<uint64_t>(row->Int(0, 8));
  PGDUET_ASSIGN_OR_RETURN(identity.baseline_xids, LoadBaselineXids(*connection));
  return identity;
}

absl::StatusOr<std::unique_ptr<RegionAgent>> RegionAgent::Create(const Config& config,
                                                                 const std::string& region,
                                                                 prometheus::Registry& registry) {
  const RegionConfig* found = config.FindRegion(region);
  if (found == nullptr) {
    return NamedError(absl::StatusCode::kInvalidArgument, "unknown_region",
                      fmt::format("the group has no such region: region={}", region),
                      "Give one of the config's regions.");
  }
  return std::unique_ptr<RegionAgent>(new RegionAgent(config, *found, registry));
}

RegionAgent::RegionAgent(const Config& config, const RegionConfig& region,
                         prometheus::Registry& registry)
    : config_(config), region_(region), registry_(registry), policy_metrics_(registry) {}

RegionAgent::~RegionAgent() { Stop(); }

absl::Status RegionAgent::Start() {
  supervisor_ = std::jthread([this](std::stop_token stop) { Supervise(std::move(stop)); });
  return absl::OkStatus();
}

void RegionAgent::Supervise(std::stop_token stop) {
  NameThisThread("supervisor");
  Backoff backoff({.first = absl::Milliseconds(200), .max = absl::Seconds(5)});
  std::string last_error;
  while (!stop.stop_requested()) {
    if (changer_ != nullptr) {
      StepPolicies();
      const bool soon = changer_ == nullptr || changer_->is_open();
      SleepFor(absl::Milliseconds(soon ? 20 : 250), stop);
      continue;
    }
    const absl::Status status = StartEngine();
    {
      std::scoped_lock lock(mutex_);
      start_error_ = status;
    }
    if (status.ok()) {
      backoff.Reset();
      last_error.clear();
      continue;
    }
    if (ErrorName(status) != last_error) {
      if (absl::IsUnavailable(status)) {
        LogWarning("agent", "start is waiting", status);
      } else {
        LogError("agent", "start is waiting", status);
      }
    }
    last_error = ErrorName(status);
    SleepFor(backoff.Next(), stop);
  }
}

absl::Status RegionAgent::StartEngine() {
  PGDUET_ASSIGN_OR_RETURN(RegionIdentity identity,
                          LoadIdentity(region_.postgres, config_, region_.name, /*new_run=*/true));
  PGDUET_ASSIGN_OR_RETURN(ActivePolicies active, LoadPolicies());
  const Config current = active.config;
  auto engine =
      std::make_shared<RegionEngine>(std::move(active), region_, std::move(identity), registry_);
  PGDUET_RETURN_IF_ERROR(engine->Start());
  changer_ = std::make_unique<PolicyChanger>(region_.postgres, engine->identity(), current,
                                             policy_metrics_);
  std::scoped_lock lock(mutex_);
  engine_ = std::move(engine);
  return absl::OkStatus();
}

absl::StatusOr<ActivePolicies> RegionAgent::LoadPolicies() {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(SetSession(region_.postgres, config_.set, "start")));
  PGDUET_ASSIGN_OR_RETURN(ActivePolicies active,
                          LoadActivePolicies(*connection, config_, !policy_text_.empty()));
  PGDUET_RETURN_IF_ERROR(StoreActivePolicies(*connection, active.config));
  policy_text_ = CanonicalPolicyText(active.config);
  file_read_ = absl::InfinitePast();
  return active;
}

void RegionAgent::WatchFile() {
  if (absl::Now() - file_read_ < absl::Seconds(5)) return;
  file_read_ = absl::Now();
  const absl::StatusOr<Config> file = LoadConfig(config_.path, ProcessEnvironment(), config_.set);
  const bool differs = !file.ok() || CanonicalPolicyText(*file) != policy_text_;
  policy_metrics_.FileDiffers(differs);
  if (std::exchange(file_differs_, differs) || !differs) return;
  LogWarning("agent", "the file has not the policies that are in force",
             {{"file", config_.path},
              {"remedy", "put the file in place that 'pgduet policy apply' was given"}});
}

void RegionAgent::StepPolicies() {
  WatchFile();
  const absl::StatusOr<bool> switches = changer_->Step(engine_->Place());
  absl::Status status = switches.status();
  if (switches.ok() && *switches) status = SwitchPolicies();
  const std::string error = status.ok() ? "" : ErrorName(status);
  if (error != std::exchange(policy_error_, error) && !status.ok())
    LogWarning("policy", "change is waiting", status);
}

// The streams end first: what comes next in them is decided under the new set.
absl::Status RegionAgent::SwitchPolicies() {
  LogInfo("policy", "switching");
  engine_->Stop();
  const absl::Status status = changer_->Switch();
  changer_.reset();
  std::shared_ptr<RegionEngine> ended;
  {
    std::scoped_lock lock(mutex_);
    ended = std::exchange(engine_, nullptr);
  }
  return status;
}

void RegionAgent::Stop() {
  supervisor_.request_stop();
  if (supervisor_.joinable()) supervisor_.join();
  std::shared_ptr<RegionEngine> engine;
  {
    std::scoped_lock lock(mutex_);
    stopping_ = true;
    engine = std::exchange(engine_, nullptr);
  }
  if (engine != nullptr) engine->Stop();
}

AgentStatus RegionAgent::Status() const {
  AgentStatus status{.group = config_.group,
                     .set = config_.set,
                     .region = region_.name,
                     .transport = std::string(TransportName(config_.transport))};
  std::scoped_lock lock(mutex_);
  status.state = stopping_ ? "stopping" : "starting";
  if (!start_error_.ok()) {
    status.error = ErrorName(start_error_);
    status.message = std::string(start_error_.message());
    status.remedy = ErrorRemedy(start_error_);
  }
  if (engine_ == nullptr) return status;
  status.streams = engine_->Streams();
  status.tombstones = engine_->tombstones();
  const bool all_run =
      std::all_of(status.streams.begin(), status.streams.end(), [](const StreamStatus& stream) {
        return stream.state == "streaming" || stream.state == "running" ||
               stream.state == "holding";
      });
  status.state = all_run ? "running" : "degraded";
  return status;
}

bool RegionAgent::Alive() const {
  std::shared_ptr<RegionEngine> engine;
  {
    std::scoped_lock lock(mutex_);
    engine = engine_;
  }
  if (engine == nullptr) return true;  // the supervisor is trying
  const std::vector<uint64_t> rounds = engine->Rounds();
  const absl::Time now = absl::Now();
  std::scoped_lock lock(progress_mutex_);
  progress_.resize(rounds.size(), {0, now});
  bool alive = true;
  for (size_t thread = 0; thread < rounds.size(); ++thread) {
    if (progress_[thread].first != rounds[thread]) progress_[thread] = {rounds[thread], now};
    alive &= now - progress_[thread].second < kStuckAfter;
  }
  return alive;
}

bool RegionAgent::Ready() const { return Status().state == "running"; }

}  // namespace pgduet
