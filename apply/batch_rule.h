// Which of an origin's transactions may share an apply transaction here. All rows of a batch carry
// one time, the highest; the rule keeps that from ever deciding something (docs/decisions/0002, G,
// and 0008).
//
// Two regions: the time must be closed here, so that no local write below it is still to be
// decoded. More: it must be closed in every other stream, too, and in effect; so what comes later
// from anybody is later than each row of the batch, and wins. Whether it had seen the row, for the
// log, BatchMembers tells. Not thread-safe itself; for the thread of the session.
#pragma once

#include "apply/applied_state.h"
#include "apply/foreign_keys.h"
#include "apply/parking_lot.h"
#include "apply/policy_tables.h"
#include "apply/region_identity.h"
#include "schemas/change.h"

namespace pgduet {

class BatchRule {
 public:
  // In groups of three and more the rows of a batch are listed, in memory and in pgduet.progress.
  static constexpr size_t kListedRowsMax = 4096;

  // All must outlive it.
  BatchRule(const RegionIdentity& identity, Rank origin, const AppliedState& applied,
            const PolicyTables& policies, const ParkingLot& parking,
            const ForeignKeyWatch& foreign_keys)
      : identity_(identity),
        origin_(origin),
        applied_(applied),
        policies_(policies),
        parking_(parking),
        foreign_keys_(foreign_keys) {}

  // Whether the transaction may be one of several at all, by what it changes.
  bool Joins(const ChangeBatch& changes) const;
  // Whether no transaction of any other region that is not in effect here has a time at or below.
  bool Closed(CommitTime highest) const { return highest <= applied_.ClosedTimeBesides(origin_); }
  bool MayList(size_t rows) const { return identity_.OnlyTwo() || rows <= kListedRowsMax; }

 private:
  const RegionIdentity& identity_;
  const Rank origin_;
  const AppliedState& applied_;
  const PolicyTables& policies_;
  const ParkingLot& parking_;
  const ForeignKeyWatch& foreign_keys_;
};

}  // namespace pgduet
