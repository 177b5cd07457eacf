// One region's agent: capture of the local database, one applier for each peer, housekeeping;
// started, watched, stopped.
//
// The database and the brokers may be away when it starts: the supervisor thread keeps trying.
// Threads: the public methods may be called from any; docs/architecture.md lists the threads
// inside.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <absl/status/statusor.h>
#include <prometheus/registry.h>

#include "agent/agent_status.h"
#include "agent/config.h"
#include "agent/policy_change_metrics.h"
#include "apply/region_identity.h"
#include "base/pg_connection.h"

namespace pgduet {

class PolicyChanger;
class RegionEngine;
struct ActivePolicies;

class RegionAgent {
 public:
  static absl::StatusOr<std::unique_ptr<RegionAgent>> Create(const Config& config,
                                                             const std::string& region,
                                                             prometheus::Registry& registry);
  ~RegionAgent();
  absl::Status Start();
  void Stop();

  AgentStatus Status() const;
  bool Alive() const;  // the threads make rounds
  bool Ready() const;  // capture and every applier run

 private:
  RegionAgent(const Config& config, const RegionConfig& region, prometheus::Registry& registry);
  void Supervise(std::stop_token stop);
  absl::Status StartEngine();
  absl::StatusOr<ActivePolicies> LoadPolicies();
  // A change of policies: its next step, or the switch. Errors are told, and tried again.
  void StepPolicies();
  absl::Status SwitchPolicies();
  // The file as it is now: an operator puts the new one in place after a change.
  void WatchFile();

  const Config config_;
  const RegionConfig region_;
  prometheus::Registry& registry_;
  PolicyChangeMetrics policy_metrics_;
  mutable std::mutex mutex_;
  std::shared_ptr<RegionEngine> engine_;
  std::unique_ptr<PolicyChanger> changer_;  // of that engine; the supervisor's
  std::string policy_error_;
  std::string policy_text_;  // in force; empty: the engine has not run yet
  bool file_differs_ = false;
  absl::Time file_read_ = absl::InfinitePast();
  absl::Status start_error_;
  bool stopping_ = false;
  mutable std::mutex progress_mutex_;
  mutable std::vector<std::pair<uint64_t, absl::Time>>
      progress_;  // rounds of each thread, and when they last grew
  std::jthread supervisor_;
};

// Who the database says it is; counts one run of the agent (writer epoch). Errors: not_initialized,
// identity_mismatch.
absl::StatusOr<RegionIdentity> LoadIdentity(const std::string& conninfo, const Config& config,
                                            const std::string& region, bool new_run);

// A run needs the tables that this version knows. Error: sidecar_version.
absl::Status CheckSidecarVersion(PgConnection& connection);

}  // namespace pgduet
