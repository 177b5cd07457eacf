// A group of regions that changes its policies, played by the rules alone: streams that arrive
// late, agents that end and begin again, operators who change their mind, time that is over.
//
// Writes of a changed table are checked: each is applied only where the set is in force under which
// it was written, and who writes under a new set has seen all that was written under the old one.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "agent/policy_change_rules.h"
#include "schemas/policy_notice.h"

namespace pgduet {

enum class PlantedFault { kNone, kGateLeaks, kMarksAreRunOver, kSwitchesAtItsOwnMark };

class PolicyChangeGroup {
 public:
  PolicyChangeGroup(int regions, uint32_t seed, PlantedFault fault)
      : random_(seed), fault_(fault), regions_(static_cast<size_t>(regions)) {
    for (int rank = 0; rank < regions; ++rank) {
      names_.push_back(fmt::format("r{}", rank));
      regions_[static_cast<size_t>(rank)].applied.resize(static_cast<size_t>(regions));
    }
  }

  void RunWild(int steps) {
    for (int step = 0; step < steps && broken_.empty(); ++step) OneStep(/*wild=*/true);
  }
  // Everybody works, nobody hurries: what was begun ends.
  void RunOut() {
    for (Region& region : regions_) region.agent_runs = true;
    for (int step = 0; step < 20'000 && broken_.empty(); ++step) OneStep(/*wild=*/false);
    for (const Region& region : regions_) {
      if (region.state == ChangeState::kFenced || region.state == ChangeState::kVoted)
        Broken("a change does not end");
      if (region.gate_closed) Broken("a gate stays closed");
      if (region.set != regions_[0].set) Broken("regions end with different sets");
    }
    const bool all_ready = std::all_of(regions_.begin(), regions_.end(), [&](const Region& region) {
      return region.state == ChangeState::kProposed && region.to == regions_[0].to;
    });
    if (all_ready) Broken("all are ready, and nothing happens");
  }
  const std::string& broken() const { return broken_; }
  int switches() const { return switches_; }
  int aborts() const { return aborts_; }

 private:
  struct Entry {
    std::optional<PolicyNotice> notice;
    uint64_t set = 0;          // of a write: under which it was written
    std::vector<size_t> seen;  // and what had been applied there
  };
  struct Region {
    std::vector<Entry> stream;
    std::vector<size_t> applied;    // entries of each stream
    std::map<Rank, uint64_t> held;  // streams that stand at the mark of this change
    std::map<Rank, RegionNotices> notices;
    uint64_t set = 100;
    bool agent_runs = true;
    bool gate_closed = false;
    ChangeState state = ChangeState::kNone;
    uint64_t change = 0, to = 0, handled = 0, applied_change = 0;
    bool announced = false, abort_wanted = false;
  };

  bool Chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  void Broken(const std::string& what) {
    if (broken_.empty()) broken_ = what;
  }

  void OneStep(bool wild) {
    const auto rank = static_cast<Rank>(random_() % regions_.size());
    Region& region = regions_[rank];
    switch (random_() % 6) {
      case 0:
        if (wild) Write(rank, region);
        break;
      case 1:
      case 2:
        for (int entry = 0; entry < 8; ++entry)
          Read(static_cast<Rank>(random_() % regions_.size()), rank, region);
        break;
      case 3:
      case 4:
        if (region.agent_runs) Act(rank, region, wild);
        break;
      default:
        if (wild) Disturb(region);
    }
  }

  void Disturb(Region& region) {
    if (Chance(10)) region.agent_runs = !region.agent_runs;
    if (region.state == ChangeState::kNone && Chance(30)) {
      region.state = ChangeState::kProposed;
      region.announced = region.abort_wanted = false;
      region.change = 0;
      region.to = region.set + 1 + (Chance(5) ? 1000 : 0);
    }
    if (region.state != ChangeState::kNone && Chance(1)) region.abort_wanted = true;
  }

  void Write(Rank rank, Region& region) {
    if (region.gate_closed && fault_ != PlantedFault::kGateLeaks) return;
    region.applied[rank] = region.stream.size() + 1;
    region.stream.push_back({.notice = {}, .set = region.set, .seen = region.applied});
    for (size_t other = 0; other < regions_.size(); ++other) {
      const std::vector<Entry>& stream = regions_[other].stream;
      for (size_t place = region.applied[other]; place < stream.size(); ++place) {
        if (!stream[place].notice && stream[place].set < region.set)
          Broken("a write under the new set has not seen one under the old set");
      }
    }
  }

  bool Ended(const Region& region, uint64_t change) const {
    if (region.applied_change >= change) return true;
    for (const auto& [rank, notices] : region.notices) {
      if (notices.aborted >= change) return true;
    }
    return false;
  }

  void Read(Rank origin, Rank rank, Region& region) {
    if (origin == rank || !region.agent_runs) return;
    if (const auto held = region.held.find(origin); held != region.held.end()) {
      if (!Ended(region, held->second) && fault_ != PlantedFault::kMarksAreRunOver) return;
      region.held.erase(held);
    }
    const std::vector<Entry>& stream = regions_[origin].stream;
    size_t& place = region.applied[origin];
    if (place >= stream.size()) return;
    const Entry& entry = stream[place];
    if (entry.notice) {
      Hear(*entry.notice, origin, region);
      if (entry.notice->IsMark() && entry.notice->to != region.set)
        region.held[origin] = entry.notice->change;
    } else {
      for (size_t other = 0; other < entry.seen.size(); ++other) {
        if (other != origin && other != rank && region.applied[other] < entry.seen[other]) return;
      }
      if (entry.set != region.set) Broken("a write is decided under another set than its own");
    }
    ++place;
  }

  static void Hear(const PolicyNotice& notice, Rank origin, Region& region) {
    RegionNotices& heard = region.notices[origin];
    switch (notice.kind) {
      case PolicyNoticeKind::kPropose:
        heard.proposes_from = notice.from;
        heard.proposes_to = notice.to;
        heard.proposes_after = notice.change;
        break;
      case PolicyNoticeKind::kWithdraw:
        heard.proposes_to = 0;
        break;
      case PolicyNoticeKind::kGo:
        heard.go = notice.change;
        heard.go_from = notice.from;
        heard.go_to = notice.to;
        break;
      case PolicyNoticeKind::kFenced:
        heard.fenced = notice.change;
        break;
      case PolicyNoticeKind::kRefuse:
        heard.refused = notice.change;
        break;
      case PolicyNoticeKind::kCommit:
        heard.committed = notice.change;
        break;
      case PolicyNoticeKind::kAbort:
        heard.aborted = notice.change;
        break;
    }
  }

  void Say(PolicyNoticeKind kind, uint64_t change, Rank rank, Region& region) {
    const PolicyNotice notice{.kind = kind, .change = change, .from = region.set, .to = region.to};
    region.stream.push_back({.notice = notice, .set = 0, .seen = {}});
    region.applied[rank] = region.stream.size();
    Hear(notice, rank, region);
  }

  void End(uint64_t change, Region& region) {
    region.state = ChangeState::kNone;
    region.handled = std::max(region.handled, change);
    region.gate_closed = false;
    ++aborts_;
  }

  ChangeView ViewOf(Rank rank, const Region& region, bool wild) {
    ChangeView view{.self = rank, .regions = names_};
    view.state = region.state;
    view.change = region.change;
    view.from = region.set;
    view.to = region.to;
    view.announced = region.announced;
    view.abort_wanted = region.abort_wanted;
    view.overdue = wild && Chance(2);
    view.handled = region.handled;
    view.behind = Chance(50) ? "" : "another";
    view.noted = Chance(50);
    view.swept = Chance(50);
    view.durable = Chance(50);
    view.undecided = wild && Chance(1);
    view.parked = Chance(20);
    view.peers = region.notices;
    for (auto& [peer, notices] : view.peers) {
      notices.go_overdue = wild && Chance(2);
      if (fault_ == PlantedFault::kSwitchesAtItsOwnMark && peer != kPolicyCoordinator)
        notices.fenced = region.change;
    }
    return view;
  }

  void Act(Rank rank, Region& region, bool wild) {
    const NextStep next = NextPolicyStep(ViewOf(rank, region, wild));
    switch (next.step) {
      case ChangeStep::kWait:
        break;
      case ChangeStep::kAnnounce:
        region.announced = true;
        Say(PolicyNoticeKind::kPropose, next.change, rank, region);
        break;
      case ChangeStep::kWithdraw:
        Say(PolicyNoticeKind::kWithdraw, next.change, rank, region);
        End(0, region);
        break;
      case ChangeStep::kGo:
        region.change = ++newest_change_;
        region.state = ChangeState::kGoing;
        Say(PolicyNoticeKind::kGo, region.change, rank, region);
        break;
      case ChangeStep::kFence:
        region.gate_closed = true;
        region.change = region.handled = next.change;
        region.state = ChangeState::kFenced;
        break;
      case ChangeStep::kVote:
        region.state = ChangeState::kVoted;
        Say(rank == kPolicyCoordinator ? PolicyNoticeKind::kCommit : PolicyNoticeKind::kFenced,
            next.change, rank, region);
        break;
      case ChangeStep::kRefuse:
        if (region.state == ChangeState::kNone) region.to = region.set;
        Say(PolicyNoticeKind::kRefuse, next.change, rank, region);
        End(next.change, region);
        break;
      case ChangeStep::kAbort:
        Say(PolicyNoticeKind::kAbort, next.change, rank, region);
        End(next.change, region);
        break;
      case ChangeStep::kEnd:
        End(next.change, region);
        break;
      case ChangeStep::kSwitch:
        region.set = region.to;
        region.applied_change = next.change;
        region.held.clear();
        region.state = ChangeState::kNone;
        region.gate_closed = false;
        ++switches_;
        break;
    }
  }

  std::mt19937 random_;
  const PlantedFault fault_;
  std::vector<std::string> names_;
  std::vector<Region> regions_;
  uint64_t newest_change_ = 0;
  std::string broken_;
  int switches_ = 0;
  int aborts_ = 0;
};

}  // namespace pgduet
