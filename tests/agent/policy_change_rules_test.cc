#include "agent/policy_change_rules.h"

#include <gtest/gtest.h>

#include "tests/agent/policy_change_group.h"

namespace pgduet {
namespace {

constexpr uint64_t kOld = 11, kNew = 22;

ChangeView Ready(Rank self) {
  ChangeView view{.self = self, .regions = {"a", "b", "c"}};
  view.state = ChangeState::kProposed;
  view.from = kOld;
  view.to = kNew;
  view.announced = view.noted = view.swept = view.durable = true;
  for (Rank rank = 0; rank < 3; ++rank) {
    view.peers[rank].proposes_from = kOld;
    view.peers[rank].proposes_to = kNew;
  }
  return view;
}

ChangeView Asked(Rank self, uint64_t change) {
  ChangeView view = Ready(self);
  view.peers[0].go = change;
  view.peers[0].go_from = kOld;
  view.peers[0].go_to = kNew;
  return view;
}

ChangeView Voted(Rank self, uint64_t change) {
  ChangeView view = Asked(self, change);
  view.state = ChangeState::kVoted;
  view.change = view.handled = change;
  return view;
}

TEST(PolicyChangeRulesTest, TheFirstRegionWaitsUntilAllAreToldOfTheSameSet) {
  ChangeView view = Ready(0);
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kGo);
  view.peers[2].proposes_to = 33;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  EXPECT_EQ(NextPolicyStep(view).reason, "not told of this set yet: c");
  view.peers.erase(1);
  EXPECT_EQ(NextPolicyStep(view).reason, "not told of this set yet: b, c");
}

TEST(PolicyChangeRulesTest, ARegionThatIsNotToldRefuses) {
  ChangeView view = Asked(1, 5);
  view.state = ChangeState::kNone;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kRefuse);
  view.handled = 5;  // it has said so
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
}

TEST(PolicyChangeRulesTest, AProposalForAChangeThatIsOverDoesNotCountForTheNext) {
  ChangeView view = Ready(0);
  view.handled = 3;  // taken back
  view.peers[1].proposes_after = view.peers[2].proposes_after = 3;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kGo);
  view.peers[2].proposes_after = 2;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  EXPECT_EQ(NextPolicyStep(view).reason, "not told of this set yet: c");
}

TEST(PolicyChangeRulesTest, ARegionThatHearsOfAnEndProposesAgain) {
  ChangeView view = Ready(1);
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.peers[0].go = view.peers[0].aborted = 4;  // without this region
  view.peers[0].go_to = 33;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kAnnounce);
  EXPECT_EQ(NextPolicyStep(view).change, 4U);
  view.peers[1].proposes_after = 4;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  // Set up anew, it knows of no change before.
  view.peers[0] = {.proposes_from = kOld, .proposes_to = kNew, .proposes_after = 9};
  EXPECT_EQ(NextPolicyStep(view).change, 9U);
}

TEST(PolicyChangeRulesTest, AnotherSetThanItsOwnIsRefused) {
  ChangeView view = Asked(1, 5);
  view.peers[0].go_to = 33;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kRefuse);
}

TEST(PolicyChangeRulesTest, TheGateClosesOnlyWhereLittleIsLeftToApply) {
  ChangeView view = Asked(1, 5);
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kFence);
  view.behind = "c";
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  EXPECT_EQ(NextPolicyStep(view).reason, "this region catches up first with: c");
  view.peers[0].go_overdue = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kRefuse);
}

TEST(PolicyChangeRulesTest, AnOldGoThatWasTakenBackIsNotAnswered) {
  ChangeView view = Asked(1, 5);
  view.peers[0].aborted = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kEnd);
  view.handled = view.peers[1].proposes_after = 5;  // of an earlier attempt
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
}

TEST(PolicyChangeRulesTest, TheMarkComesWhenLocalWritesAreNotedAndDeletesSwept) {
  ChangeView view = Asked(1, 5);
  view.state = ChangeState::kFenced;
  view.change = view.handled = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kVote);
  view.noted = false;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.noted = true;
  view.swept = false;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.overdue = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kRefuse);
}

TEST(PolicyChangeRulesTest, WhoHasVotedGoesBackOnTheFirstRegionsWordAlone) {
  ChangeView view = Voted(1, 5);
  view.overdue = view.abort_wanted = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.peers[0].aborted = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kEnd);
}

TEST(PolicyChangeRulesTest, ASwitchNeedsTheMarksOfAllOthers) {
  ChangeView view = Voted(1, 5);
  view.peers[0].committed = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.peers[2].fenced = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kSwitch);
  view.peers[2].fenced = 4;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.peers[2].fenced = 5;
  view.durable = false;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
}

TEST(PolicyChangeRulesTest, TheFirstRegionDecidesAfterAllMarksAndNotWithSiblings) {
  ChangeView view = Asked(0, 5);
  view.state = ChangeState::kGoing;
  view.change = 5;
  view.peers[1].fenced = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  EXPECT_EQ(NextPolicyStep(view).reason, "no mark of c");
  view.peers[2].fenced = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kFence);
  view.undecided = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kAbort);
}

TEST(PolicyChangeRulesTest, ParkedRowsComeBackFirst) {
  ChangeView first = Ready(0);
  first.parked = true;
  EXPECT_EQ(NextPolicyStep(first).step, ChangeStep::kWait);
  EXPECT_EQ(NextPolicyStep(first).reason, "rows of a changed table are parked");
  first.parked = false;
  EXPECT_EQ(NextPolicyStep(first).step, ChangeStep::kGo);
  // They were parked between its "go" and the last mark.
  first = Asked(0, 5);
  first.state = ChangeState::kFenced;
  first.change = 5;
  first.peers[1].fenced = first.peers[2].fenced = 5;
  EXPECT_EQ(NextPolicyStep(first).step, ChangeStep::kVote);
  first.parked = true;
  EXPECT_EQ(NextPolicyStep(first).step, ChangeStep::kWait);
  first.overdue = true;
  EXPECT_EQ(NextPolicyStep(first).step, ChangeStep::kAbort);
  // The first region has decided that none are: here they are on their way back.
  ChangeView other = Voted(1, 5);
  other.peers[0].committed = other.peers[2].fenced = 5;
  other.parked = true;
  EXPECT_EQ(NextPolicyStep(other).step, ChangeStep::kWait);
  other.parked = false;
  EXPECT_EQ(NextPolicyStep(other).step, ChangeStep::kSwitch);
}

TEST(PolicyChangeRulesTest, TheFirstRegionTakesItBackWhenOneRefusesOrTimeIsOver) {
  ChangeView view = Asked(0, 5);
  view.state = ChangeState::kGoing;
  view.change = 5;
  view.peers[1].refused = 4;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kWait);
  view.peers[1].refused = 5;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kAbort);
  view.peers[1].refused = 0;
  view.overdue = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kAbort);
  EXPECT_EQ(NextPolicyStep(view).reason, "time was over: no mark of b, c");
}

TEST(PolicyChangeRulesTest, TheFirstRegionDoesNotGoBackOnItsOwnMark) {
  ChangeView view = Voted(0, 5);
  view.overdue = view.abort_wanted = true;
  EXPECT_EQ(NextPolicyStep(view).step, ChangeStep::kSwitch);
}

class PolicyChangeGroupTest : public testing::TestWithParam<int> {};

TEST_P(PolicyChangeGroupTest, NoWriteIsDecidedUnderTwoSetsAndWhatBeganEnds) {
  int switches = 0, aborts = 0;
  for (uint32_t seed = 0; seed < 300; ++seed) {
    PolicyChangeGroup group(GetParam(), seed, PlantedFault::kNone);
    group.RunWild(3000);
    group.RunOut();
    ASSERT_EQ(group.broken(), "") << "seed=" << seed;
    switches += group.switches();
    aborts += group.aborts();
  }
  EXPECT_GT(switches, 300);
  EXPECT_GT(aborts, 300);
}

TEST_P(PolicyChangeGroupTest, PlantedFaultsAreFound) {
  const auto is_found = [&](PlantedFault fault) {
    for (uint32_t seed = 0; seed < 300; ++seed) {
      PolicyChangeGroup group(GetParam(), seed, fault);
      group.RunWild(3000);
      if (!group.broken().empty()) return true;
    }
    return false;
  };
  EXPECT_TRUE(is_found(PlantedFault::kGateLeaks));
  EXPECT_TRUE(is_found(PlantedFault::kMarksAreRunOver));
  // With two regions the first region's mark is the only one.
  if (GetParam() > 2) {
    EXPECT_TRUE(is_found(PlantedFault::kSwitchesAtItsOwnMark));
  }
}

INSTANTIATE_TEST_SUITE_P(Regions, PolicyChangeGroupTest, testing::Values(2, 3, 5));

}  // namespace
}  // namespace pgduet
