// What `pgduet init` does to one region, step by step. Each step looks first and does only what is
// missing, so that the whole can be repeated; with dry_run it prints and changes nothing.
//
// Two roles: the admin connection (postgres_admin, else postgres) creates and grants; the runtime
// role owns the sidecar schema and makes the slot. One thread.
#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>

#include "agent/config.h"
#include "base/pg_connection.h"
#include "transport/kafka_admin.h"

namespace pgduet {

class RegionSetup {
 public:
  RegionSetup(const Config& config, const RegionConfig& region, bool dry_run)
      : config_(config), region_(region), dry_run_(dry_run) {}
  absl::Status Run();
  // What tables need before their policies change online: checks, functions, guards against
  // TRUNCATE. `after`: also takes away the guards that are not needed any more.
  absl::Status AdoptPolicies(bool after);

 private:
  absl::Status Connect();
  absl::Status MakeRole();
  absl::Status RefuseUnready();
  absl::Status MakeSidecar();
  absl::Status Grant();
  absl::Status GrantFunction(const TablePolicy& policy);
  absl::Status GuardAgainstTruncate(bool may_drop = true);  // truncate_guard.cc
  absl::Status AdoptPolicySet();
  absl::Status MakePublication();
  absl::Status MakeOrigins();
  absl::Status MakeSlotsAndIdentity();
  absl::Status UpdateRegions();
  absl::Status MakeTopic();
  absl::Status MakeConflictTopic(KafkaAdmin& admin);
  // Runs (or prints) one statement on the admin connection; `done` describes it to the user.
  absl::Status Do(const std::string& sql, const std::string& done);
  absl::Status CreateSlot(const std::string& slot);
  absl::Status CopySlots(const std::string& own);
  void Say(const std::string& text) const;

  const Config& config_;
  const RegionConfig& region_;
  const bool dry_run_;
  std::unique_ptr<PgConnection> admin_;
  std::unique_ptr<PgConnection> runtime_;
  std::string role_;  // the runtime role, quoted
  bool role_is_super_ = false;
  bool role_replicates_ = false;
  bool has_identity_ = false;
};

}  // namespace pgduet
