// One region takes the writes of a history in some order, through the engine or through one with a
// planted fault, and is held against the oracle after each.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/resolve/policy_history.h"

namespace pgduet::testing {

// What stands at a region.
struct Site {
  RowState state;
  std::optional<RowImage> visible;
};

struct Subject {
  std::function<Outcome(const RowEngine&, const RowWrite&, const AppliedVector& stable, Site&)>
      take = [](const RowEngine& engine, const RowWrite& write, const AppliedVector& stable,
                Site& site) { return engine.Take(write, stable, site.state, site.visible); };
  std::function<std::string(const RowState&, const std::vector<std::string>&)> encode =
      EncodeRowState;
};

struct DeliveryOptions {
  bool forget = true;       // pass stable vectors, remove states
  bool recode = true;       // the state goes through its text form at each step
  bool take_again = false;  // each write twice in a row
};

class PolicyDelivery {
 public:
  PolicyDelivery(const PolicyHistory& history, const Subject& subject, DeliveryOptions options,
                 uint64_t seed)
      : history_(history),
        subject_(subject),
        options_(options),
        engine_(history.shape),
        chance_(seed) {}

  // What is wrong first, or nothing.
  std::optional<std::string> Take(int at) {
    const PolicyWrite& write = history_.writes[at];
    done_.set(at);
    if (auto wrong = TakeOnce(write, at)) return wrong;
    if (options_.take_again) {
      const Site before = site_;
      TakeThrough(write);
      if (site_.state != before.state || site_.visible != before.visible)
        return "the same write again changed something: " + TextOf(before.visible) + " to " +
               TextOf(site_.visible);
    }
    if (options_.forget) MaybeForgetAll();
    return options_.recode ? Recode() : std::nullopt;
  }
  const Site& site() const { return site_; }

 private:
  Outcome TakeThrough(const PolicyWrite& write) {
    const RowWrite row_write{.dot = write.dot,
                             .kind = write.kind,
                             .vector = &write.vector,
                             .old_row = write.sent_old,
                             .new_row = write.sent_new};
    Outcome outcome = subject_.take(engine_, row_write, Stable(), site_);
    if (outcome.shown == Shown::kFunction)
      site_.visible = AskFunction(RowEngine::CustomOrder(site_.state));
    const bool merged = history_.shape.policy.kind == PolicyKind::kMerge;
    if (merged && site_.visible && BreaksCheck(*site_.visible))
      engine_.ShowNewest(site_.state, site_.visible);
    return outcome;
  }

  std::optional<std::string> TakeOnce(const PolicyWrite& write, int at) {
    const std::optional<RowImage> stood = site_.visible;
    const Oracle oracle = history_.oracle();
    const Outcome outcome = TakeThrough(write);
    const auto wanted = oracle.Visible(done_);
    if (site_.visible != wanted)
      return fmt::format("shows {}, not {}", TextOf(site_.visible), TextOf(wanted));
    if (auto wrong = WrongMembers(oracle)) return wrong;
    const std::optional<int> unseen = oracle.Unseen(done_, at);
    if (outcome.concurrent != unseen.has_value())
      return outcome.concurrent ? "false conflict" : "silent conflict";
    if (unseen && (!outcome.other || !(outcome.other->dot == history_.writes[*unseen].dot)))
      return fmt::format("the conflict is with {}, and does not say so", *unseen);
    if (site_.visible && outcome.overflow != oracle.Overflows(done_)) return "overflow, or not?";
    return WrongShown(outcome, write, stood);
  }

  std::optional<std::string> WrongShown(const Outcome& outcome, const PolicyWrite& write,
                                        const std::optional<RowImage>& stood) const {
    const std::optional<RowImage> own = write.deletes() ? std::nullopt : std::optional(write.after);
    if (outcome.shown == Shown::kFunction) return std::nullopt;
    const bool refused = outcome.concurrent && history_.shape.policy.kind == PolicyKind::kMerge;
    if (outcome.shown == Shown::kLocal && site_.visible != stood && !refused)
      return "says that what stood stays";
    if (outcome.shown == Shown::kRemote && site_.visible != own && !refused)
      return "says that the write's row is shown";
    return std::nullopt;
  }

  std::optional<std::string> WrongMembers(const Oracle& oracle) const {
    std::vector<int> wanted = oracle.Members(done_);
    std::erase_if(wanted, [&](int member) { return forgotten_[member]; });
    if (wanted.size() != site_.state.members.size()) return "members: not as many as there are";
    for (const int one : wanted) {
      const PolicyWrite& write = history_.writes[one];
      const Member* member = nullptr;
      for (const Member& candidate : site_.state.members) {
        if (candidate.dot == write.dot) member = &candidate;
      }
      if (member == nullptr) return fmt::format("members: {} is missing", one);
      if (member->deleted != write.deletes()) return "members: deleted, or not?";
      if (wanted.size() > 1 && !member->deleted && member->row != write.after)
        return fmt::format("members: the row of {} is {}", one, TextOf(member->row));
    }
    return std::nullopt;
  }

  // A vector that every write to come has seen: at most what all of them have, at times less.
  AppliedVector Stable() {
    AppliedVector stable;
    if (!options_.forget || chance_.Percent(30)) return stable;
    for (Rank rank = 0; rank < history_.regions; ++rank) {
      Lsn seen(UINT64_MAX);
      for (size_t at = 0; at < history_.writes.size(); ++at) {
        if (done_[at]) continue;
        Lsn of_write;
        for (size_t past = 0; past < at; ++past) {
          const bool counts = history_.writes[at].past[past];
          if (counts && history_.writes[past].dot.rank == rank)
            of_write = std::max(of_write, history_.writes[past].dot.lsn);
        }
        seen = std::min(seen, of_write);
      }
      if (seen.value() == 0 || chance_.Percent(20)) continue;
      const uint64_t least = chance_.Percent(70) ? 0 : chance_.Below(2);
      if (seen.value() != UINT64_MAX) seen = Lsn(seen.value() - std::min(seen.value(), least));
      stable.Advance(rank, {.incarnation = kIncarnation, .sequence = 1, .commit_lsn = seen});
    }
    return stable;
  }

  // As the housekeeper does: all of the state is stable, and nothing is kept for the application.
  void MaybeForgetAll() {
    if (site_.state.members.empty() || !chance_.Percent(30)) return;
    const AppliedVector stable = Stable();
    if (history_.shape.policy.KeepsSiblings() && site_.state.members.size() > 1) return;
    const std::vector<Lsn> newest = site_.state.Newest(history_.regions);
    for (Rank rank = 0; rank < history_.regions; ++rank) {
      if (newest[rank].valid() && !stable.Contains(rank, kIncarnation, newest[rank])) return;
    }
    if (!engine_.Settled(site_.state, site_.visible.has_value())) return;
    site_.state = RowState();
    forgotten_ = done_;
  }

  std::optional<std::string> Recode() {
    const std::vector<std::string> names = history_.shape.Names();
    const auto decoded = DecodeRowState(subject_.encode(site_.state, names), names);
    if (!decoded.ok()) return "the state cannot be read";
    if (*decoded != site_.state) return "the state is another one when it is read";
    site_.state = *decoded;
    return std::nullopt;
  }

  const PolicyHistory& history_;
  const Subject& subject_;
  const DeliveryOptions options_;
  const RowEngine engine_;
  Chance chance_;
  Site site_;
  Taken done_;
  Taken forgotten_;
};

// The first thing that is wrong with this order, or nothing.
inline std::optional<std::string> CheckOrder(const PolicyHistory& history, const Order& order,
                                             const Subject& subject, DeliveryOptions options,
                                             uint64_t seed) {
  PolicyDelivery delivery(history, subject, options, seed);
  for (const int at : order) {
    if (auto wrong = delivery.Take(at))
      return fmt::format("write {}: {}\n{}", at, *wrong, TextOf(history, order));
  }
  return std::nullopt;
}

}  // namespace pgduet::testing
