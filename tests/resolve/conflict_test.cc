#include "resolve/conflict.h"

#include <set>
#include <string>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(ConflictTest, KindsBearPostgresNames) {
  EXPECT_EQ(ConflictKindName(ConflictKind::kInsertExists), "insert_exists");
  EXPECT_EQ(ConflictKindName(ConflictKind::kUpdateOriginDiffers), "update_origin_differs");
  EXPECT_EQ(ConflictKindName(ConflictKind::kUpdateExists), "update_exists");
  EXPECT_EQ(ConflictKindName(ConflictKind::kUpdateMissing), "update_missing");
  EXPECT_EQ(ConflictKindName(ConflictKind::kUpdateDeleted), "update_deleted");
  EXPECT_EQ(ConflictKindName(ConflictKind::kDeleteOriginDiffers), "delete_origin_differs");
  EXPECT_EQ(ConflictKindName(ConflictKind::kDeleteMissing), "delete_missing");
  EXPECT_EQ(ConflictKindName(ConflictKind::kMultipleUniqueConflicts), "multiple_unique_conflicts");
}

TEST(ConflictTest, DecisionsSayWhichSideStands) {
  EXPECT_EQ(DecisionName(Decision::kApplyRemote), "apply_remote");
  EXPECT_EQ(DecisionName(Decision::kParkRemote), "park_remote");
  EXPECT_EQ(DecisionName(Decision::kParkLocal), "park_local");
  EXPECT_EQ(DecisionName(Decision::kKeepLocal), "keep_local");
}

}  // namespace
}  // namespace pgduet
