// The writes of one row under a policy, with everybody's past, for the oracle.
#pragma once

#include <algorithm>
#include <bitset>
#include <optional>
#include <vector>

#include "tests/resolve/policy_rows.h"

namespace pgduet::testing {

constexpr size_t kWritesMax = 256;
// Write number i of a row has bit i.
using Taken = std::bitset<kWritesMax>;

struct PolicyWrite {
  Dot dot;
  ChangeKind kind = ChangeKind::kInsert;
  AppliedVector vector;
  Taken past;                     // without itself
  std::optional<RowImage> stood;  // the visible row that it met
  RowImage found;                 // see above; nulls when there was nothing
  RowImage after;                 // whole; empty after a delete
  RowImage sent_old, sent_new;    // what travels
  bool deletes() const { return kind == ChangeKind::kDelete; }
};

// Questions about a set of them.
class PolicyWrites {
 public:
  PolicyWrites(const RowShape& shape, const std::vector<PolicyWrite>& writes)
      : shape_(shape), writes_(writes) {}

 protected:
  template <typename Condition>
  std::vector<int> Those(const Taken& set, const Condition& condition) const {
    std::vector<int> those;
    for (int write = 0; write < static_cast<int>(writes_.size()); ++write) {
      if (set[write] && condition(write)) those.push_back(write);
    }
    return those;
  }
  std::vector<int> Maximal(const std::vector<int>& among) const {
    std::vector<int> maximal;
    for (const int one : among) {
      const bool seen = std::any_of(among.begin(), among.end(),
                                    [&](int other) { return writes_[other].past[one]; });
      if (!seen) maximal.push_back(one);
    }
    return maximal;
  }
  bool Newer(int one, int other) const {
    return writes_[one].dot.version() > writes_[other].dot.version();
  }
  int Newest(const std::vector<int>& among) const {
    int newest = among.front();
    for (const int one : among) newest = Newer(one, newest) ? one : newest;
    return newest;
  }

  const RowShape& shape_;
  const std::vector<PolicyWrite>& writes_;
};

}  // namespace pgduet::testing
