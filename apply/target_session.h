// The database session that applies one origin's transactions: settings, replication origin,
// pipeline, clock.
//
// Threads: one; Cancel() from any. A lost connection makes every call Unavailable; the owner opens
// a new session.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/pg_pipeline.h"
#include "apply/region_identity.h"
#include "apply/target_clock.h"
#include "base/pg_connection.h"

namespace pgduet {

// Rows have versions only while track_commit_timestamp is on: nothing may be applied without.
// Error: track_commit_timestamp.
absl::Status CheckCommitTimestamps(PgConnection& connection);

class TargetSession {
 public:
  // `origin_name`: the replication origin that this session takes for itself; a second agent gets
  // origin_active.
  static absl::StatusOr<std::unique_ptr<TargetSession>> Open(const std::string& conninfo,
                                                             const RegionIdentity& identity,
                                                             const std::string& purpose,
                                                             const std::string& origin_name);

  PgPipeline& pipeline() { return pipeline_; }
  PgConnection& connection() { return *connection_; }
  // One statement through the pipeline.
  absl::StatusOr<PgResult> Query(const std::string& sql,
                                 const std::vector<PgParameter>& parameters = {});
  // The database's clock, asked now.
  absl::StatusOr<CommitTime> Clock();
  // What is known of that clock; whoever has asked in another way tells it.
  TargetClock& clock() { return clock_; }
  // Replication origin oids of this group's regions by rank; 0 for our own.
  const std::vector<Oid>& origin_oids() const { return origin_oids_; }
  // Of the origin that our own rows carry when they come back (apply/parked_returns.h).
  Oid housekeeper_oid() const { return housekeeper_oid_; }
  void Cancel() { connection_->Cancel(); }

 private:
  TargetSession(std::unique_ptr<PgConnection> connection, PgPipeline pipeline)
      : connection_(std::move(connection)), pipeline_(std::move(pipeline)) {}
  std::unique_ptr<PgConnection> connection_;
  PgPipeline pipeline_;
  std::vector<Oid> origin_oids_;
  Oid housekeeper_oid_ = 0;
  TargetClock clock_;
};

}  // namespace pgduet
