#include "resolve/orphans.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

OrphanView ViewOf(OnOrphan rule, std::optional<Rank> deleter) {
  return {.rule = rule, .self = 1, .deleter = deleter, .overdue = false, .parent_known = true};
}

TEST(OrphansTest, NamesAreThoseOfTheConfiguration) {
  for (const OnOrphan rule : {OnOrphan::kReport, OnOrphan::kDeleteChild, OnOrphan::kReviveParent})
    EXPECT_EQ(OnOrphanNamed(OnOrphanName(rule)), rule);
  EXPECT_EQ(OnOrphanNamed("cascade"), std::nullopt);
}

TEST(OrphansTest, EachRegionReports) {
  for (const std::optional<Rank> deleter :
       {std::optional<Rank>(), std::optional<Rank>(0), std::optional<Rank>(1)})
    EXPECT_EQ(OrphanStep(ViewOf(OnOrphan::kReport, deleter)), Decision::kReportOrphan);
}

TEST(OrphansTest, TheRegionThatDeletedTheParentActsAndNoOther) {
  EXPECT_EQ(OrphanStep(ViewOf(OnOrphan::kDeleteChild, 1)), Decision::kDeleteChild);
  EXPECT_EQ(OrphanStep(ViewOf(OnOrphan::kReviveParent, 1)), Decision::kReviveParent);
  for (const OnOrphan rule : {OnOrphan::kDeleteChild, OnOrphan::kReviveParent}) {
    EXPECT_EQ(OrphanStep(ViewOf(rule, 0)), std::nullopt);
    EXPECT_EQ(OrphanStep(ViewOf(rule, std::nullopt)), std::nullopt);
  }
}

TEST(OrphansTest, AnotherRegionActsWhenTheFirstOneIsAway) {
  OrphanView orphan = ViewOf(OnOrphan::kDeleteChild, 0);
  orphan.overdue = true;
  EXPECT_EQ(OrphanStep(orphan), Decision::kDeleteChild);
  orphan.deleter = std::nullopt;
  EXPECT_EQ(OrphanStep(orphan), Decision::kDeleteChild);
}

TEST(OrphansTest, AParentWhoseRowNobodyHasIsReported) {
  OrphanView orphan = ViewOf(OnOrphan::kReviveParent, 1);
  orphan.parent_known = false;
  EXPECT_EQ(OrphanStep(orphan), Decision::kReportOrphan);
}

TEST(OrphansTest, AParentThatIsWrittenBackNeedsItsOwnParentsBack) {
  const OrphanRule line{"line", "order", OnOrphan::kReviveParent};
  const OrphanRule order{"order", "customer", OnOrphan::kDeleteChild};
  const OrphanRule rules[] = {line, order};
  ASSERT_NE(RevivedHalfway(rules), nullptr);
  EXPECT_EQ(RevivedHalfway(rules)->child, "line");
}

TEST(OrphansTest, OtherChainsOfRulesAreSound) {
  for (const OnOrphan lower :
       {OnOrphan::kReport, OnOrphan::kDeleteChild, OnOrphan::kReviveParent}) {
    for (const OnOrphan upper :
         {OnOrphan::kReport, OnOrphan::kDeleteChild, OnOrphan::kReviveParent}) {
      const OrphanRule rules[] = {{"line", "order", lower}, {"order", "customer", upper}};
      const bool halfway = lower == OnOrphan::kReviveParent && upper != OnOrphan::kReviveParent;
      EXPECT_EQ(RevivedHalfway(rules) != nullptr, halfway);
    }
  }
  const OrphanRule self[] = {{"node", "node", OnOrphan::kReviveParent}};
  EXPECT_EQ(RevivedHalfway(self), nullptr);
}

}  // namespace
}  // namespace pgduet
