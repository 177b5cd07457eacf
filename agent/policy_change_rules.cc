#include "agent/policy_change_rules.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace pgduet {
namespace {

constexpr char kParked[] = "rows of a changed table are parked";

using Holds = std::function<bool(const RegionNotices&)>;

// The regions of which it does not hold, for people; empty: it holds of all others.
std::string Without(const ChangeView& view, const Holds& holds) {
  std::string names;
  for (Rank rank = 0; rank < view.regions.size(); ++rank) {
    const auto peer = view.peers.find(rank);
    if (rank == view.self || (peer != view.peers.end() && holds(peer->second))) continue;
    names += (names.empty() ? "" : ", ") + view.regions[rank];
  }
  return names;
}

bool AnyRefused(const ChangeView& view) {
  return std::any_of(view.peers.begin(), view.peers.end(), [&](const auto& peer) {
    return peer.first != view.self && peer.second.refused == view.change;
  });
}

std::string CatchesUp(const ChangeView& view) {
  return "this region catches up first with: " + view.behind;
}

NextStep Coordinate(const ChangeView& view) {
  const auto fenced = [&](const RegionNotices& peer) { return peer.fenced == view.change; };
  switch (view.state) {
    case ChangeState::kNone:
      return {};
    case ChangeState::kProposed: {
      if (view.abort_wanted) return {ChangeStep::kWithdraw, view.handled, "by command"};
      if (!view.announced) return {ChangeStep::kAnnounce, view.handled};
      const std::string unready = Without(view, [&](const RegionNotices& peer) {
        return peer.proposes_from == view.from && peer.proposes_to == view.to &&
               peer.proposes_after >= view.handled;
      });
      if (!unready.empty()) return {ChangeStep::kWait, 0, "not told of this set yet: " + unready};
      if (!view.behind.empty()) return {ChangeStep::kWait, 0, CatchesUp(view)};
      if (view.parked) return {ChangeStep::kWait, 0, kParked};
      return {ChangeStep::kGo};
    }
    case ChangeState::kGoing:
    case ChangeState::kFenced: {
      if (view.abort_wanted) return {ChangeStep::kAbort, view.change, "by command"};
      if (AnyRefused(view)) return {ChangeStep::kAbort, view.change, "another region refused"};
      const std::string missing = Without(view, fenced);
      if (view.overdue) {
        return {ChangeStep::kAbort, view.change,
                !missing.empty() ? "time was over: no mark of " + missing
                : view.parked    ? std::string(kParked)
                                 : "time was over: the gate of the first region"};
      }
      if (!missing.empty()) return {ChangeStep::kWait, view.change, "no mark of " + missing};
      if (view.undecided)
        return {ChangeStep::kAbort, view.change, "rows of a changed table have siblings"};
      if (view.state == ChangeState::kGoing) return {ChangeStep::kFence, view.change};
      if (!view.noted || !view.swept)
        return {ChangeStep::kWait, view.change, "capture and sweep of this region"};
      if (view.parked) return {ChangeStep::kWait, view.change, kParked};
      return {ChangeStep::kVote, view.change};
    }
    case ChangeState::kVoted:
      if (!view.durable) return {ChangeStep::kWait, view.change, "the mark on its way to the log"};
      return {ChangeStep::kSwitch, view.change};
  }
  return {};
}

// A "go" that was not answered yet, and not taken back.
bool IsAsked(const ChangeView& view, const RegionNotices& coordinator) {
  return coordinator.go > view.handled && coordinator.aborted < coordinator.go;
}

NextStep Propose(const ChangeView& view, const RegionNotices& coordinator) {
  const bool ours = coordinator.go_from == view.from && coordinator.go_to == view.to;
  if (IsAsked(view, coordinator)) {
    if (!ours) return {ChangeStep::kRefuse, coordinator.go, "this region was told of another set"};
    if (view.abort_wanted) return {ChangeStep::kRefuse, coordinator.go, "by command"};
    if (coordinator.go_overdue)
      return {ChangeStep::kRefuse, coordinator.go, "time was over before the gate could close"};
    if (view.behind.empty()) return {ChangeStep::kFence, coordinator.go};
    return {ChangeStep::kWait, coordinator.go, CatchesUp(view)};
  }
  // It was over before this region had answered.
  if (coordinator.go > view.handled && ours)
    return {ChangeStep::kEnd, coordinator.go, "the first region aborted"};
  // A region that was set up anew learns of what was before from the first region's proposal.
  const uint64_t over = std::max({view.handled, coordinator.aborted, coordinator.proposes_after});
  if (view.abort_wanted) return {ChangeStep::kWithdraw, over, "by command"};
  const auto own = view.peers.find(view.self);
  const bool said = view.announced && own != view.peers.end() && own->second.proposes_after >= over;
  if (!said) return {ChangeStep::kAnnounce, over};
  return {ChangeStep::kWait, 0, "the first region has not said go"};
}

NextStep TakePart(const ChangeView& view) {
  const auto found = view.peers.find(kPolicyCoordinator);
  const RegionNotices coordinator = found == view.peers.end() ? RegionNotices() : found->second;
  const bool aborted = coordinator.aborted >= view.change;
  switch (view.state) {
    case ChangeState::kNone:
      if (!IsAsked(view, coordinator)) return {};
      return {ChangeStep::kRefuse, coordinator.go, "this region was not told of the set"};
    case ChangeState::kProposed:
    case ChangeState::kGoing:
      return Propose(view, coordinator);
    case ChangeState::kFenced:
      if (aborted) return {ChangeStep::kEnd, view.change, "the first region aborted"};
      if (view.abort_wanted) return {ChangeStep::kRefuse, view.change, "by command"};
      if (view.overdue) return {ChangeStep::kRefuse, view.change, "time was over: capture, sweep"};
      if (!view.noted || !view.swept)
        return {ChangeStep::kWait, view.change, "capture and sweep of this region"};
      return {ChangeStep::kVote, view.change};
    case ChangeState::kVoted: {
      if (aborted) return {ChangeStep::kEnd, view.change, "the first region aborted"};
      if (coordinator.committed != view.change)
        return {ChangeStep::kWait, view.change, "the first region's decision"};
      const std::string missing = Without(view, [&](const RegionNotices& peer) {
        return peer.fenced == view.change || peer.committed == view.change;
      });
      if (!missing.empty()) return {ChangeStep::kWait, view.change, "no mark of " + missing};
      if (!view.durable) return {ChangeStep::kWait, view.change, "the mark on its way to the log"};
      if (view.parked) return {ChangeStep::kWait, view.change, kParked};
      return {ChangeStep::kSwitch, view.change};
    }
  }
  return {};
}

}  // namespace

NextStep NextPolicyStep(const ChangeView& view) {
  return view.self == kPolicyCoordinator ? Coordinate(view) : TakePart(view);
}

}  // namespace pgduet
