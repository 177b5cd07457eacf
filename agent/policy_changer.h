// Takes this region through a change of policies: looks at what the database says, asks
// policy_change_rules.h what comes next, does that one step in one transaction.
//
// Nothing is remembered that the database does not hold, but two places in the WAL that may as well
// be later. Threads: the supervisor's. Its session is reopened when lost.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/config.h"
#include "agent/policy_change_metrics.h"
#include "agent/policy_change_rules.h"
#include "apply/region_identity.h"
#include "apply/target_session.h"
#include "schemas/policy_notice.h"

namespace pgduet {

// What the change has to know of the running engine.
struct EnginePlace {
  Lsn decoded;  // everything before it has passed capture
  Lsn durable;  // and is on the log
  std::map<Rank, bool> caught_up;
};

class PolicyChanger {
 public:
  // `current`: with the policies that are in force. All must outlive it but `current`.
  PolicyChanger(std::string conninfo, const RegionIdentity& identity, Config current,
                PolicyChangeMetrics& metrics);

  // The next step, if there is one. True: stop the engine, and call Switch().
  absl::StatusOr<bool> Step(const EnginePlace& engine);
  // Puts the new set in force and opens the gate. Nothing else of the agent may run.
  absl::Status Switch();
  // A change is open: look often.
  bool is_open() const { return own_.has_value(); }

 private:
  struct OwnChange {
    int64_t id = 0;
    bool discard_siblings = false;
    std::string fence_xid;
    std::string policy_text;
    std::string policy_settings;
    std::string reason;
  };
  struct Target {  // of the open change
    int64_t id = 0;
    Config config;
    std::vector<TableConfig> tables;
    std::string oids;  // as an array literal
  };
  absl::Status OpenSession();
  absl::Status Load();
  absl::Status LoadNotices(const PgResult& rows, std::map<Rank, RegionNotices>& peers);
  absl::Status LoadTarget();
  absl::Status LookAround(const EnginePlace& engine);
  absl::StatusOr<bool> Holds(const std::string& sql, const std::vector<PgParameter>& parameters);
  absl::Status Do(const NextStep& next);
  absl::Status Fence(uint64_t change);
  absl::Status CheckGates();
  absl::Status Vote(uint64_t change);
  // One transaction: the notice, the own state, and what is to be said about it.
  absl::Status Say(PolicyNoticeKind kind, uint64_t change, const std::string& state,
                   const std::string& reason, CommitTime clock = kOldestTime);
  absl::Status End(uint64_t change, const std::string& reason);
  absl::Status OpenGate();
  absl::Status NoteReason(const std::string& reason);
  absl::Status Commit();
  absl::Status MoveTables();

  const std::string conninfo_;
  const RegionIdentity& identity_;
  const Config current_;
  const uint64_t current_hash_;
  PolicyChangeMetrics& metrics_;
  std::unique_ptr<TargetSession> session_;
  std::optional<OwnChange> own_;
  ChangeView view_;  // of own_, or of a region that was told nothing
  uint64_t newest_change_ = 0;
  std::optional<Target> target_;
  Lsn fence_;  // our WAL when the gate had closed, and when our mark was written
  Lsn mark_;
  absl::Time fence_due_ = absl::InfinitePast();
};

}  // namespace pgduet
