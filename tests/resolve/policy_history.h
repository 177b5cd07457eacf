// Random histories of one row under a policy: who had seen whom (one_row_history.h), and rows as an
// application would write them, each from the row that its region showed.
#pragma once

#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/resolve/one_row_history.h"
#include "tests/resolve/policy_oracle.h"

namespace pgduet::testing {

struct PolicyHistory {
  RowShape shape;
  int regions = 2;
  std::vector<PolicyWrite> writes;
  History causality;  // the same writes as one_row_history.h has them
  Oracle oracle() const { return {shape, writes}; }
};

inline Taken TakenOf(WriteSet set) { return Taken(set); }

inline AppliedVector VectorWith(AppliedVector vector, const Dot& dot) {
  vector.Advance(dot.rank, {.incarnation = dot.incarnation,
                            .sequence = dot.lsn.value(),
                            .commit_lsn = dot.lsn,
                            .commit_time = dot.time});
  return vector;
}

// What capture publishes.
inline void Send(Chance& chance, PolicyWrite& write) {
  write.sent_new = write.after;
  if (write.stood) write.sent_old = *write.stood;
  if (write.kind != ChangeKind::kUpdate) return;
  // Large values that the statement did not touch.
  for (size_t column = 0; column < write.after.size(); ++column) {
    if (write.after[column] == (*write.stood)[column] && chance.Percent(20))
      write.sent_new[column] = Cell();
  }
}

// Gives write number `at` its kind and its rows.
inline void FillWrite(Chance& chance, const RowShape& shape, const Oracle& oracle,
                      PolicyWrite& write) {
  write.stood = oracle.Visible(write.past);
  write.found = write.stood ? *write.stood : oracle.Found(write.past);
  write.kind = !write.stood         ? ChangeKind::kInsert
               : chance.Percent(25) ? ChangeKind::kDelete
                                    : ChangeKind::kUpdate;
  if (write.kind != ChangeKind::kDelete) {
    do {
      write.after = write.stood && chance.Percent(85) ? Changed(chance, shape, *write.stood)
                                                      : RandomRow(chance, shape);
    } while (shape.policy.kind == PolicyKind::kMerge && BreaksCheck(write.after));
  }
  Send(chance, write);
}

inline PolicyHistory RandomPolicyHistory(uint64_t seed, const RowShape& shape, int regions,
                                         int count) {
  Chance chance(seed);
  PolicyHistory history{.shape = shape, .regions = regions, .writes = {}, .causality = {}};
  const bool clocks_agree = chance.Percent(50);
  for (int at = 0; at < count; ++at) {
    const auto region = static_cast<Rank>(chance.Below(regions));
    const std::vector<WriteSet> pasts = PossiblePasts(history.causality, region);
    AddWrite(history.causality, region, ChangeKind::kInsert, chance.Of(pasts),
             static_cast<CommitTime>(chance.Below(5)));
    const Write& causal = history.causality.back();
    PolicyWrite write;
    write.dot = {.rank = region,
                 .incarnation = kIncarnation,
                 .lsn = causal.version.commit_lsn,
                 .time = clocks_agree ? causal.version.commit_time
                                      : static_cast<CommitTime>(chance.Below(5))};
    write.vector = VectorWith(causal.vector, write.dot);
    write.past = TakenOf(causal.past);
    FillWrite(chance, history.shape, history.oracle(), write);
    history.writes.push_back(std::move(write));
  }
  return history;
}

// An order in which this region can have taken the writes: its own are taken when they are made.
inline bool Possible(const PolicyHistory& history, const Order& order, Rank region) {
  Taken done;
  for (const int at : order) {
    const PolicyWrite& write = history.writes[at];
    if (write.dot.rank == region && done != write.past) return false;
    done.set(at);
  }
  return true;
}

inline Order RandomOrder(Chance& chance, const PolicyHistory& history, Rank region) {
  Order order;
  Taken done;
  while (order.size() < history.writes.size()) {
    // The region's own next write, and what may come before it.
    int own = 0;
    const int count = static_cast<int>(history.writes.size());
    while (own < count && (done[own] || history.writes[own].dot.rank != region)) ++own;
    std::vector<int> ready;
    for (int at = 0; at < count; ++at) {
      const Taken& past = history.writes[at].past;
      if (done[at] || (past & ~done).any()) continue;
      if (own < count && at != own && !history.writes[own].past[at]) continue;
      if (at == own && done != past) continue;
      ready.push_back(at);
    }
    order.push_back(chance.Of(ready));
    done.set(order.back());
  }
  return order;
}

inline std::string TextOf(const RowImage& row) {
  std::string text = "(";
  for (const Cell& cell : row) {
    if (text.size() > 1) text += " | ";
    text += cell.kind == Cell::Kind::kText ? cell.text : cell.known() ? "NULL" : "-";
  }
  return text + ")";
}
inline std::string TextOf(const std::optional<RowImage>& row) {
  return row ? TextOf(*row) : "none";
}

inline std::string TextOf(const PolicyHistory& history, const Order& order) {
  std::string text = fmt::format("{} {}; order", PolicyName(history.shape.policy.kind),
                                 OnDeleteName(history.shape.policy.on_delete));
  for (const int at : order) text += fmt::format(" {}", at);
  for (size_t at = 0; at < history.writes.size(); ++at) {
    const PolicyWrite& write = history.writes[at];
    text += fmt::format("\n  {}: {} at {}, time {}, past", at, static_cast<char>(write.kind),
                        write.dot.rank, write.dot.time);
    for (size_t other = 0; other < at; ++other)
      text += write.past[other] ? fmt::format(" {}", other) : "";
    text += fmt::format("\n     old {} new {}", TextOf(write.sent_old), TextOf(write.sent_new));
  }
  return text;
}

}  // namespace pgduet::testing
