// Deals with the orphans of some parents: reports them, deletes them, or writes their parents back.
//
// Deleting and reviving are ordinary writes: a session without replication origin, so that capture
// publishes them as it does a client's. Each is logged in its own transaction. What somebody has
// locked is left for the next time. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_metrics.h"
#include "apply/foreign_keys.h"
#include "apply/orphan_statements.h"
#include "apply/region_identity.h"
#include "base/pg_connection.h"

namespace pgduet {

// A parent that may be missed.
struct SuspectParent {
  std::string key_text;         // empty: the whole table
  std::optional<Rank> deleter;  // of the newest delete that is known
  std::optional<CommitTime> deleted_at;
  bool overdue = false;
  bool row_known = false;
};

class OrphanRepair {
 public:
  OrphanRepair(std::string conninfo, const RegionIdentity& identity, ApplyMetrics& metrics)
      : conninfo_(std::move(conninfo)), identity_(identity), metrics_(metrics) {}

  // Which of the parents (places) are missed by a child; only their keys are asked for.
  absl::StatusOr<std::vector<bool>> Missed(PgConnection& connection, const ForeignKey& key,
                                           const std::vector<SuspectParent>& parents);
  // Returns which of the parents (places) still have orphans that somebody is to deal with.
  // `connection` is for looks and reports. `origin_oids` as in TargetSession.
  absl::StatusOr<std::vector<bool>> Handle(PgConnection& connection, const ForeignKeys& keys,
                                           const ForeignKey& key,
                                           const std::vector<SuspectParent>& parents);
  void SetOrigins(std::vector<Oid> origin_oids) { origin_oids_ = std::move(origin_oids); }
  void Reset() { writer_.reset(); }

 private:
  using Parents = std::vector<const SuspectParent*>;
  absl::StatusOr<std::vector<bool>> Missed(PgConnection& connection, const OrphanStatements& sql,
                                           const Parents& parents);
  absl::StatusOr<std::vector<Orphan>> Find(PgConnection& connection, const OrphanStatements& sql,
                                           OrphanStatements::For purpose, const Parents& parents);
  absl::Status Report(PgConnection& connection, const OrphanStatements& sql,
                      const Parents& parents);
  // Returns the parents that cannot be written back.
  absl::StatusOr<Parents> Act(const OrphanStatements& sql, const ForeignKeys& keys,
                              Decision decision, const Parents& parents);
  absl::StatusOr<int> Delete(const OrphanStatements& sql, const Parents& parents);
  absl::StatusOr<int> Revive(const OrphanStatements& sql, const ForeignKeys& keys,
                             const Parents& parents, Parents& unknown);
  // False: a row on the way up is not known here; the caller undoes what was written.
  absl::StatusOr<bool> WriteBack(const ForeignKeys& keys, const TargetTable& parent,
                                 const std::string& key_text);
  absl::Status Log(PgConnection& connection, const ForeignKey& key, const Orphan& orphan,
                   const SuspectParent& parent, Decision decision);
  absl::Status OpenWriter();
  void Count();

  const std::string conninfo_;
  const RegionIdentity& identity_;
  ApplyMetrics& metrics_;
  std::vector<Oid> origin_oids_;
  std::unique_ptr<PgConnection> writer_;
  std::map<Rank, ApplyCounts> counts_;  // of the open transaction
};

}  // namespace pgduet
