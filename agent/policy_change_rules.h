// What a region does next in a change of policies: one function of what its database says, so that
// an agent can be killed anywhere and goes on. docs/decisions/0006-policy-changes-online.md.
//
// Pure: no clock, no I/O; tests/agent/policy_change_rules_test.cc plays groups of it with lost
// agents and late streams.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "schemas/version.h"

namespace pgduet {

// The region whose mark is the decision.
inline constexpr Rank kPolicyCoordinator = 0;

enum class ChangeState { kNone, kProposed, kGoing, kFenced, kVoted };

// The newest that was heard of one region; numbers are 0 before there is one.
struct RegionNotices {
  uint64_t proposes_from = 0, proposes_to = 0;
  // The newest change whose end the region had heard of when it proposed: an older proposal was for
  // a change that is over.
  uint64_t proposes_after = 0;
  uint64_t go = 0, go_from = 0, go_to = 0;
  uint64_t fenced = 0;
  uint64_t refused = 0;
  uint64_t committed = 0;
  uint64_t aborted = 0;
  bool go_overdue = false;  // it was heard longer ago than this region's patience
};

struct ChangeView {
  Rank self = 0;
  std::vector<std::string> regions;  // names by rank, for people; two at least
  ChangeState state = ChangeState::kNone;
  uint64_t change = 0;  // number of the change that goes on here; 0: none yet
  uint64_t from = 0, to = 0;
  bool announced = false;
  bool abort_wanted = false;
  bool overdue = false;  // since the state began
  uint64_t handled = 0;  // the newest change that this region has fenced, refused or seen end
  // Regions of which much is left to apply, their mark not reached yet: for people. Empty: none.
  std::string behind;
  bool noted = false;      // all local writes before the gate closed have passed capture
  bool swept = false;      // no delete from before may still have missed a row
  bool durable = false;    // our mark, and all before it, is on the log
  bool undecided = false;  // siblings stand in a changed table, and may not be discarded
  // Rows of a changed table are parked here. The first region has seen all writes when it decides:
  // when it has none then, those of the others are on their way back.
  bool parked = false;
  std::map<Rank, RegionNotices> peers;  // all others; of self what it said
};

enum class ChangeStep {
  kWait,
  kAnnounce,
  kWithdraw,  // nothing was begun
  kGo,
  kFence,   // close the gate
  kVote,    // send our mark: fenced, or of the coordinator commit
  kRefuse,  // say no; gate open
  kAbort,   // the coordinator's no
  kEnd,     // the coordinator has aborted; gate open
  kSwitch,
};
struct NextStep {
  ChangeStep step = ChangeStep::kWait;
  uint64_t change = 0;  // that it is about
  std::string reason;   // of what ends it; of kWait what is waited for
};

NextStep NextPolicyStep(const ChangeView& view);

}  // namespace pgduet
