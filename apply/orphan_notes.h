// Notes of parents whose children are to be looked at, in pgduet.orphan_check, by the transaction
// that makes the look necessary: it deletes a parent, or writes a child whose parent may be
// deleted. apply/orphan_checks.h looks, when everything has ended that may not have seen the other.
//
// One for each apply transaction; inside it, through its pipeline. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "apply/apply_scope.h"
#include "apply/change_groups.h"
#include "apply/foreign_keys.h"

namespace pgduet {

// A deleted row of a parent. With `columns` it is kept, to be written back.
struct GoneParent {
  KeyDelete gone;  // an empty key text: the whole table
  std::vector<std::string> columns;
  std::vector<PgParameter> values;
};
// Takes the row that a delete carried when the table's rows may be revived and the row is whole.
void KeepRow(const ForeignKeys& keys, const TargetTable& table, std::span<const Value> old_row,
             OldRow kind, GoneParent& parent);
// One table's. Queues only.
absl::Status QueueParentsGone(PgPipeline& pipeline, Oid table,
                              const std::vector<GoneParent>& parents);

class OrphanNotes {
 public:
  OrphanNotes(const ApplyScope& scope, std::shared_ptr<const ForeignKeys> keys)
      : scope_(scope), keys_(std::move(keys)) {}

  // The parents that the segment deletes, and its children whose parents may be deleted.
  absl::Status Note(const Segment& segment, const std::vector<ApplyUnit>& units);
  // Children that were decided one by one: they may stand again where their parent's delete is long
  // settled, so their parents are looked at in any case.
  // Kept until there are many, or Finish().
  absl::Status NoteDecided(const TableGroups& table, const std::vector<size_t>& groups);
  // Before COMMIT. Queues only.
  absl::Status Finish();
  void Clear() { decided_.clear(); }

 private:
  enum class Which { kMayBeDeleted, kAll };
  using Texts = std::vector<std::string>;
  absl::Status NoteParents(const TableGroups& table, const std::vector<ApplyUnit>& units);
  // The keys of the parents that these groups (null: all) refer to.
  Texts ParentsOf(const TableGroups& table, const ForeignKey& key,
                  const std::vector<size_t>* groups, Which which) const;
  absl::Status QueueChildren(Oid parent, Texts texts, Which which);

  const ApplyScope& scope_;
  const std::shared_ptr<const ForeignKeys> keys_;
  std::map<Oid, Texts> decided_;  // by the parent's table
};

}  // namespace pgduet
