// The set-based path: one statement for each table, kind of change and set of carried columns.
//
// An update or delete touches only rows that every transaction of the batch covers; an insert only
// keys that are free. What was not touched is returned and goes to the row path. Three steps, so
// that the statements share the round trip with whatever the caller has queued before: Queue(), the
// caller runs the pipeline, Copy() for many inserted rows, Collect(). One thread; inside an open
// apply transaction.
#pragma once

#include <map>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/table_sql.h"

namespace pgduet {

class SetPath {
 public:
  // `covering` is the least vector of the batch (its first transaction's). `inserted` as in
  // row_path.h.
  SetPath(ApplyScope scope, const std::vector<ApplyUnit>& units, const AppliedVector& covering,
          InsertedKeys& inserted, ApplyCounts& counts);

  absl::Status Queue(const Segment& segment);
  // Inserted rows by COPY, where the table is trusted. Aborted/copy_refused: a key was taken, do
  // the transaction again; that table will not be copied to.
  absl::Status Copy(const Segment& segment);
  // The groups left for the row path, for each table of the segment.
  absl::StatusOr<std::vector<std::vector<size_t>>> Collect(const Segment& segment,
                                                           const std::vector<PgResult>& results);

 private:
  struct Statement {
    size_t table = 0;
    ChangeKind kind = ChangeKind::kInsert;
    std::vector<int> carried;
    std::vector<size_t> groups;
    std::vector<bool> tombstones;  // of a delete: which of the groups need one
    bool any_tombstone = false;
    bool copied = false;
    size_t result = 0;
  };
  using ByCarried = std::map<std::vector<int>, std::vector<size_t>>;
  void Classify(const Segment& segment, size_t table, ChangeKind kind);
  absl::Status QueueStatement(const TableGroups& table, Statement& statement);
  absl::Status CopyRows(const TableGroups& table, const Statement& statement);
  void NoteInserted(const TableGroups& table, const Statement& statement);
  // Until the commit nobody who removes an older tombstone forgets these keys.
  void AnnounceTombstones(const TableGroups& table, Statement& statement);
  absl::Status QueueRemoteTombstones(const TableGroups& table, const std::vector<size_t>& groups);
  absl::Status CollectDeletes(const TableGroups& table, const Statement& statement,
                              const PgResult& result);
  absl::StatusOr<size_t> QueueNotOurs(const TableGroups& table, const Statement& statement);
  std::vector<int> CarriedColumns(const TableGroups& table, const KeyGroup& group) const;

  ApplyScope scope_;
  const std::vector<ApplyUnit>& units_;
  const AppliedVector& covering_;
  InsertedKeys& inserted_;
  ApplyCounts& counts_;
  CoverageSql coverage_;
  std::vector<Statement> statements_;
  std::vector<std::vector<size_t>> left_;  // by table
};

// The parameters of CoverageSql for the rows that `vector` covers.
std::vector<PgParameter> CoverageParameters(const ApplyScope& scope, const AppliedVector& vector);

}  // namespace pgduet
