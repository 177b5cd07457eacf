// What becomes of an orphan: a row whose foreign key names a parent that is not there.
//
// Applied changes fire no foreign key triggers, so a parent deleted here and a child written there
// leave one. The repair is an ordinary write, published like a client's, so regions converge as
// they do for any write (docs/decisions/0007). What is decided here: which region makes it, and
// when. Pure: no I/O, no clock, no logging.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "resolve/conflict.h"
#include "schemas/version.h"

namespace pgduet {

// `on_orphan` of the child's table.
enum class OnOrphan : uint8_t {
  kReport,        // it stays, and is logged
  kDeleteChild,   // it is deleted
  kReviveParent,  // the parent is written back as its delete saw it
};
std::string_view OnOrphanName(OnOrphan rule);  // "report", "delete_child", "revive_parent"
std::optional<OnOrphan> OnOrphanNamed(std::string_view name);

// One orphan as one region sees it.
struct OrphanView {
  OnOrphan rule = OnOrphan::kReport;
  Rank self = 0;
  // Whose delete of the parent is the newest that is known here.
  std::optional<Rank> deleter;
  // The region that should have acted had time enough: it may be away for long.
  bool overdue = false;
  // kReviveParent: the row is known.
  bool parent_known = false;
};

// One region acts, the one that deleted the parent: every other write that meets the delete arrives
// there while its tombstone stands. Empty: leave it to another region, and look again. Two regions
// that act nevertheless (overdue, two deletes) do no harm: both delete, or both write one row.
std::optional<Decision> OrphanStep(const OrphanView& orphan);

// A table's foreign key, by the names of the tables, with the rule of the child's table.
struct OrphanRule {
  std::string child;
  std::string parent;
  OnOrphan rule = OnOrphan::kReport;
};
// A key whose parents are written back, though a parent of theirs is not: it has another rule, so
// they would come back as orphans, and be deleted again without end, or stay unknown to regions
// that have forgotten the delete further up. Nullptr: there is none.
const OrphanRule* RevivedHalfway(std::span<const OrphanRule> rules);

}  // namespace pgduet
