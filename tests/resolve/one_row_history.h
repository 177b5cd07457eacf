// The writes of one row at several regions, who had seen whom, and what a region makes of them in
// some order.
//
// A history is a list of writes, each with the set of writes that its region had when it was made
// (`past`). `Deliver` applies them in a given order through a resolver (the real one, or one with a
// planted fault), and `Check` judges the result against the definition: the row is the maximum, and
// what met unseen is reported, nothing else.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "resolve/last_write_wins.h"

namespace pgduet::testing {

constexpr Incarnation kIncarnation = 7;

// Write number i of a history has bit i in every set of writes.
using WriteSet = uint32_t;

struct Write {
  Rank region = 0;
  ChangeKind kind = ChangeKind::kInsert;
  Version version;
  WriteSet past = 0;     // without itself; holds the past of each of its members
  AppliedVector vector;  // the same as a vector, as the record carries it
};
using History = std::vector<Write>;
using Order = std::vector<int>;

inline bool Holds(WriteSet set, int write) { return (set >> write & 1) != 0; }

inline bool Concurrent(const History& history, int a, int b) {
  return a != b && !Holds(history[a].past, b) && !Holds(history[b].past, a);
}

// Adds a write with this past. LSNs of a region grow; the time is at least `time` and above all
// that the region had (which is what the clock wait is for).
inline void AddWrite(History& history, Rank region, ChangeKind kind, WriteSet past,
                     CommitTime time) {
  Write write{.region = region, .kind = kind, .past = past};
  uint64_t lsn = 1;
  for (size_t i = 0; i < history.size(); ++i) {
    const Version& other = history[i].version;
    if (history[i].region == region) ++lsn;
    if (!Holds(past, static_cast<int>(i))) continue;
    time = std::max(time, other.commit_time + 1);
    write.vector.Advance(other.rank, {.incarnation = kIncarnation,
                                      .sequence = other.commit_lsn.value(),
                                      .commit_lsn = other.commit_lsn,
                                      .commit_time = other.commit_time});
  }
  write.version = {.commit_time = time, .rank = region, .commit_lsn = Lsn(lsn)};
  history.push_back(std::move(write));
}

// All that a write of `region` may have seen: sets that hold the past of their members and the
// region's own writes.
inline std::vector<WriteSet> PossiblePasts(const History& history, Rank region) {
  std::vector<WriteSet> pasts;
  for (WriteSet set = 0; set < (WriteSet{1} << history.size()); ++set) {
    bool closed = true;
    for (size_t i = 0; i < history.size(); ++i) {
      const bool held = Holds(set, static_cast<int>(i));
      if (held && (history[i].past & ~set) != 0) closed = false;
      if (!held && history[i].region == region) closed = false;
    }
    if (closed) pasts.push_back(set);
  }
  return pasts;
}

// A history of `count` writes at `regions` regions; times are few, so that ties are frequent.
inline History RandomHistory(std::mt19937& random, int regions, int count) {
  constexpr ChangeKind kKinds[] = {ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete};
  const auto below = [&](size_t n) {
    return std::uniform_int_distribution<size_t>(0, n - 1)(random);
  };
  History history;
  for (int i = 0; i < count; ++i) {
    const auto region = static_cast<Rank>(below(regions));
    const std::vector<WriteSet> pasts = PossiblePasts(history, region);
    AddWrite(history, region, kKinds[below(3)], pasts[below(pasts.size())],
             static_cast<CommitTime>(below(5)));
  }
  return history;
}

// Calls `visit` with every order that respects causality.
inline void ForEachCausalOrder(const History& history,
                               const std::function<void(const Order&)>& visit) {
  Order order;
  WriteSet done = 0;
  const std::function<void()> extend = [&] {
    if (order.size() == history.size()) return visit(order);
    for (size_t i = 0; i < history.size(); ++i) {
      const int write = static_cast<int>(i);
      if (Holds(done, write) || (history[i].past & ~done) != 0) continue;
      order.push_back(write);
      done |= WriteSet{1} << i;
      extend();
      order.pop_back();
      done &= ~(WriteSet{1} << i);
    }
  };
  extend();
}

inline Order RandomCausalOrder(std::mt19937& random, const History& history) {
  Order order;
  WriteSet done = 0;
  while (order.size() < history.size()) {
    std::vector<int> ready;
    for (size_t i = 0; i < history.size(); ++i) {
      const int write = static_cast<int>(i);
      if (!Holds(done, write) && (history[i].past & ~done) == 0) ready.push_back(write);
    }
    const size_t pick = std::uniform_int_distribution<size_t>(0, ready.size() - 1)(random);
    order.push_back(ready[pick]);
    done |= WriteSet{1} << ready[pick];
  }
  return order;
}

using Resolver = std::function<Resolution(ChangeKind, const Version&, const LocalState&)>;

// One meeting of a remote write with what stood there.
struct Meeting {
  int local = -1;  // -1: nothing stood there
  int remote = -1;
  Resolution resolution;
};

struct Delivery {
  LocalState state;
  int winner = -1;
  std::vector<Meeting> meetings;
};

// What a region without writes of its own makes of the history in this order. A write may occur
// twice in it.
inline Delivery Deliver(const History& history, const Order& order, const Resolver& resolve) {
  Delivery delivery;
  for (int remote : order) {
    const Write& write = history[remote];
    LocalState& state = delivery.state;
    state.covered =
        state.kind != LocalState::Kind::kNeverSeen &&
        (state.version.rank == write.region ||
         write.vector.Contains(state.version.rank, kIncarnation, state.version.commit_lsn));
    const Resolution resolution = resolve(write.kind, write.version, state);
    delivery.meetings.push_back({delivery.winner, remote, resolution});
    if (resolution.decision == Decision::kKeepLocal) continue;
    state.kind =
        write.kind == ChangeKind::kDelete ? LocalState::Kind::kDeleted : LocalState::Kind::kLive;
    state.version = write.version;
    delivery.winner = remote;
  }
  return delivery;
}

inline int Maximum(const History& history) {
  const auto lower = [](const Write& a, const Write& b) { return a.version < b.version; };
  return static_cast<int>(std::max_element(history.begin(), history.end(), lower) -
                          history.begin());
}

inline std::string Describe(const History& history, const Order& order) {
  std::string text = "order";
  for (int write : order) text += fmt::format(" {}", write);
  for (size_t i = 0; i < history.size(); ++i) {
    const Write& write = history[i];
    text += fmt::format("; write {}: {} at region {}, time {}, past {:b}", i,
                        static_cast<char>(write.kind), write.region, write.version.commit_time,
                        write.past);
  }
  return text;
}

// Nothing, or what is wrong with this delivery.
inline std::optional<std::string> Check(const History& history, const Order& order,
                                        const Resolver& resolve) {
  const Delivery delivery = Deliver(history, order, resolve);
  if (delivery.winner != Maximum(history)) {
    return fmt::format("write {} stands, not the maximum {}: {}", delivery.winner, Maximum(history),
                       Describe(history, order));
  }
  WriteSet lost_in_report = 0;
  for (const Meeting& meeting : delivery.meetings) {
    if (meeting.local < 0) continue;
    const bool reported = meeting.resolution.conflict.has_value();
    if (reported != Concurrent(history, meeting.local, meeting.remote)) {
      return fmt::format("{} of {} and {}: {}", reported ? "false report" : "no report",
                         meeting.local, meeting.remote, Describe(history, order));
    }
    if (meeting.resolution.clock_anomaly) return "clock anomaly: " + Describe(history, order);
    if (!reported) continue;
    const bool applied = meeting.resolution.decision == Decision::kApplyRemote;
    lost_in_report |= WriteSet{1} << (applied ? meeting.local : meeting.remote);
  }
  // Nobody has seen and replaced it, it is not what stands: then its loss must be in the log.
  WriteSet seen = 0;
  for (const Write& write : history) seen |= write.past;
  for (size_t i = 0; i < history.size(); ++i) {
    const int write = static_cast<int>(i);
    if (Holds(seen, write) || write == delivery.winner || Holds(lost_in_report, write)) continue;
    return fmt::format("write {} lost silently: {}", write, Describe(history, order));
  }
  return std::nullopt;
}

}  // namespace pgduet::testing
