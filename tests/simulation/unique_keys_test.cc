// Secondary unique keys at 2 to 4 regions, step by step: local writes that see only visible rows,
// decoding that lags, streams in order, batches that share a stamp, crashes, and parked rows that
// are looked at again at any time (docs/decisions/0005).
//
// A model of its own: the races of deletes are in simulation_test.cc; here a step is atomic, and
// the question is whether the visible rows end as the definition says. The placing itself is the
// real code.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "resolve/unique_visibility.h"

namespace pgduet {
namespace {

constexpr int kKeys = 6;
constexpr int kUnique = 2;
constexpr int kNull = 0;

enum class Fault {
  kNone,
  kNeverAgain,      // a parked row is never looked at again
  kByArrival,       // who comes later wins
  kNewStamp,        // a row that comes back carries the time of its return
  kBatchesCrowded,  // batches although rows are parked, or collide
  kDeletesPass,     // a delete leaves the parked row under its key
  kUpdatesPass,     // an update leaves the parked row under its key where it is
};

using Values = std::array<int, kUnique>;

struct Stamp {
  CommitTime time = kOldestTime;
  Rank rank = 0;
  auto operator<=>(const Stamp&) const = default;
};

struct Row {
  Stamp stamp;
  Values values = {};
  bool operator==(const Row&) const = default;
};

struct Change {
  int key = 0;
  std::optional<Values> values;  // empty: a delete
};

struct Transaction {
  Stamp stamp;
  std::vector<Change> changes;
};

bool Collide(const Values& one, const Values& other) {
  for (int unique = 0; unique < kUnique; ++unique) {
    if (one[unique] != kNull && one[unique] == other[unique]) return true;
  }
  return false;
}

std::string KeyText(int key) { return std::string(1, static_cast<char>('a' + key)); }

class Region {
 public:
  Region(Rank rank, int regions, CommitTime skew, Fault fault)
      : rank_(rank), fault_(fault), clock_(100 + skew), inbox_(regions) {}

  // A client's transaction: it sees what is visible, and the database refuses what collides.
  std::optional<Transaction> Write(std::mt19937& random) {
    Transaction transaction;
    std::map<int, Row> after = visible_;
    const int changes = random() % 4 == 0 ? 2 : 1;
    if (changes == 2 && visible_.size() >= 2 && random() % 2 == 0) {
      // A swap of two rows' values, at its origin possible with a deferrable constraint.
      auto one = std::next(visible_.begin(), random() % visible_.size());
      auto other = std::next(visible_.begin(), random() % visible_.size());
      if (one != other) {
        transaction.changes = {{one->first, other->second.values},
                               {other->first, one->second.values}};
      }
    }
    while (static_cast<int>(transaction.changes.size()) < changes) {
      const int key = static_cast<int>(random() % kKeys);
      if (std::any_of(transaction.changes.begin(), transaction.changes.end(),
                      [&](const Change& change) { return change.key == key; }))
        continue;
      Change change{.key = key, .values = {}};
      const bool gone = after.contains(key) && random() % 3 == 0;
      if (!gone) {
        change.values = Values{};
        for (int& value : *change.values) value = static_cast<int>(random() % 4);
      }
      transaction.changes.push_back(change);
    }
    transaction.stamp = {.time = clock_ + 1, .rank = rank_};
    for (const Change& change : transaction.changes) {
      after.erase(change.key);
      if (change.values) after[change.key] = {transaction.stamp, *change.values};
    }
    for (const auto& [key, row] : after) {
      for (const auto& [other_key, other] : after) {
        if (key < other_key && Collide(row.values, other.values)) return std::nullopt;
      }
    }
    clock_ += 1;
    visible_ = std::move(after);
    undecoded_.push_back(transaction);
    return transaction;
  }

  // Capture: the journal, then the record.
  std::optional<Transaction> Decode() {
    if (undecoded_.empty()) return std::nullopt;
    Transaction transaction = undecoded_.front();
    undecoded_.pop_front();
    for (const Change& change : transaction.changes) {
      if (change.values) continue;
      Raise(change.key, transaction.stamp);
      // The replay: what a remote change, or a return, has put under the key in between.
      auto row = visible_.find(change.key);
      if (row != visible_.end() && row->second.stamp < transaction.stamp) visible_.erase(row);
      RemoveParked(change.key, transaction.stamp);
    }
    return transaction;
  }

  void Receive(Rank origin, const Transaction& transaction) {
    inbox_[origin].push_back(transaction);
  }

  void Apply(Rank origin, int batch_max) {
    std::deque<Transaction>& inbox = inbox_[origin];
    if (inbox.empty()) return;
    int count = 1;
    const CommitTime closed = undecoded_.empty() ? clock_ : undecoded_.front().stamp.time - 1;
    while (count < batch_max && count < static_cast<int>(inbox.size()) &&
           inbox[count].stamp.time <= closed)
      ++count;
    if (inbox.front().stamp.time > closed) count = 1;
    if (count > 1 && fault_ != Fault::kBatchesCrowded && !parked_.empty()) count = 1;
    Stamp shared = inbox.front().stamp;
    for (int index = 0; index < count; ++index) shared = std::max(shared, inbox[index].stamp);
    clock_ = std::max(clock_, shared.time);  // the clock wait
    if (count > 1 && fault_ != Fault::kBatchesCrowded && BatchCollides(inbox, count)) count = 1;
    if (count > 1) {
      ApplyTogether(inbox, count, shared);
    } else {
      ApplyOne(inbox.front());
    }
    inbox.erase(inbox.begin(), inbox.begin() + count);
  }

  // One look at one parked row.
  bool LookAgain(std::mt19937* random) {
    if (parked_.empty() || fault_ == Fault::kNeverAgain) return false;
    std::vector<int> keys;
    for (const auto& [key, row] : parked_) keys.push_back(key);
    bool moved = false;
    const size_t first = random != nullptr ? (*random)() % keys.size() : 0;
    const size_t count = random != nullptr ? 1 : keys.size();
    for (size_t index = 0; index < count; ++index) {
      const int key = keys[first + index];
      if (parked_.contains(key)) moved |= LookAtOne(key);
    }
    return moved;
  }

  bool Idle() const {
    return undecoded_.empty() &&
           std::all_of(inbox_.begin(), inbox_.end(), [](const auto& one) { return one.empty(); });
  }
  const std::map<int, Row>& visible() const { return visible_; }
  std::map<int, Values> VisibleValues() const {
    std::map<int, Values> values;
    for (const auto& [key, row] : visible_) values[key] = row.values;
    return values;
  }
  void Tick(CommitTime ticks) { clock_ += ticks; }

 private:
  void Raise(int key, Stamp stamp) {
    auto [at, fresh] = tombstones_.try_emplace(key, stamp);
    at->second = std::max(at->second, stamp);
  }

  void RemoveParked(int key, Stamp stamp) {
    if (fault_ == Fault::kDeletesPass) return;
    auto at = parked_.find(key);
    if (at != parked_.end() && at->second.stamp < stamp) parked_.erase(at);
  }

  // The set path: one statement for all, and the database refuses it when anything collides.
  bool BatchCollides(const std::deque<Transaction>& inbox, int count) const {
    std::map<int, Values> after = VisibleValues();
    for (int index = 0; index < count; ++index) {
      for (const Change& change : inbox[index].changes) {
        if (Known(change.key) > inbox[index].stamp) continue;
        after.erase(change.key);
        if (change.values) after[change.key] = *change.values;
      }
    }
    for (const auto& [key, values] : after) {
      for (const auto& [other_key, other] : after) {
        if (key < other_key && Collide(values, other)) return true;
      }
    }
    return false;
  }

  Stamp Known(int key) const {
    Stamp known;
    if (auto row = visible_.find(key); row != visible_.end())
      known = std::max(known, row->second.stamp);
    if (auto row = parked_.find(key); row != parked_.end())
      known = std::max(known, row->second.stamp);
    if (auto gone = tombstones_.find(key); gone != tombstones_.end())
      known = std::max(known, gone->second);
    return known;
  }

  void ApplyOne(const Transaction& transaction) {
    for (const Change& change : transaction.changes) {
      if (Known(change.key) > transaction.stamp) continue;
      visible_.erase(change.key);
      if (!change.values) {
        Raise(change.key, transaction.stamp);
        RemoveParked(change.key, transaction.stamp);
        continue;
      }
      if (fault_ == Fault::kUpdatesPass && parked_.contains(change.key)) continue;
      parked_.erase(change.key);
      Place(change.key, {transaction.stamp, *change.values}, transaction.stamp);
    }
  }

  // The set path: the last change of each key, all at once, under one stamp.
  void ApplyTogether(const std::deque<Transaction>& inbox, int count, Stamp shared) {
    std::map<int, Row> written;
    for (int index = 0; index < count; ++index) {
      const Transaction& transaction = inbox[index];
      for (const Change& change : transaction.changes) {
        if (Known(change.key) > transaction.stamp) continue;
        written.erase(change.key);
        visible_.erase(change.key);
        if (!change.values) {
          Raise(change.key, transaction.stamp);
          RemoveParked(change.key, transaction.stamp);
        } else {
          parked_.erase(change.key);
          written[change.key] = {shared, *change.values};
        }
      }
    }
    for (const auto& [key, row] : written) Place(key, row, shared);
  }

  // `own`: rows with this stamp are of the same transaction and give way.
  void Place(int key, const Row& row, std::optional<Stamp> own) {
    std::vector<Collider> colliders;
    std::vector<int> keys;
    for (const auto& [other_key, other] : visible_) {
      if (!Collide(row.values, other.values)) continue;
      colliders.push_back({.row = {other.stamp.time, other.stamp.rank, KeyText(other_key)},
                           .constraint = {},
                           .own = own && *own == other.stamp});
      keys.push_back(other_key);
    }
    const CommitTime time = fault_ == Fault::kByArrival ? 1'000'000'000 : row.stamp.time;
    const Placement placement = PlaceUnique({time, row.stamp.rank, KeyText(key)}, colliders);
    if (placement.blocker) {
      parked_[key] = row;
      return;
    }
    for (const size_t index : placement.parked) {
      parked_[keys[index]] = visible_.at(keys[index]);
      visible_.erase(keys[index]);
    }
    visible_[key] = row;
  }

  bool LookAtOne(int key) {
    Row row = parked_.at(key);
    auto gone = tombstones_.find(key);
    if (gone != tombstones_.end() && gone->second > row.stamp && fault_ != Fault::kDeletesPass) {
      parked_.erase(key);
      return true;
    }
    if (auto other = visible_.find(key); other != visible_.end()) {
      if (other->second.stamp > row.stamp) {  // a local write under the key
        parked_.erase(key);
        return true;
      }
      visible_.erase(other);
    }
    parked_.erase(key);
    if (fault_ == Fault::kNewStamp) row.stamp = {.time = ++clock_, .rank = rank_};
    Place(key, row, std::nullopt);
    return visible_.contains(key);
  }

  const Rank rank_;
  const Fault fault_;
  CommitTime clock_;
  std::map<int, Row> visible_, parked_;
  std::map<int, Stamp> tombstones_;
  std::deque<Transaction> undecoded_;
  std::vector<std::deque<Transaction>> inbox_;
};

std::map<int, Values> Oracle(const std::vector<Transaction>& history) {
  std::map<int, std::pair<Stamp, std::optional<Values>>> logical;
  for (const Transaction& transaction : history) {
    for (const Change& change : transaction.changes) {
      auto [at, fresh] =
          logical.try_emplace(change.key, std::make_pair(transaction.stamp, change.values));
      if (at->second.first < transaction.stamp) at->second = {transaction.stamp, change.values};
    }
  }
  std::vector<std::pair<Precedence, int>> order;
  for (const auto& [key, last] : logical) {
    if (last.second) order.push_back({{last.first.time, last.first.rank, KeyText(key)}, key});
  }
  std::sort(order.rbegin(), order.rend());
  std::map<int, Values> visible;
  for (const auto& [precedence, key] : order) {
    const Values& values = *logical.at(key).second;
    if (std::none_of(visible.begin(), visible.end(),
                     [&](const auto& other) { return Collide(other.second, values); }))
      visible[key] = values;
  }
  return visible;
}

// True when all regions end with the rows of the definition.
bool Run(uint32_t seed, Fault fault) {
  std::mt19937 random(seed);
  const int count = 2 + static_cast<int>(random() % 3);
  std::vector<Region> regions;
  regions.reserve(count);
  for (Rank rank = 0; rank < count; ++rank)
    regions.emplace_back(rank, count, static_cast<CommitTime>(random() % 20), fault);
  std::vector<Transaction> history;
  const auto publish = [&](Rank from) {
    const std::optional<Transaction> decoded = regions[from].Decode();
    for (Rank to = 0; decoded && to < count; ++to) {
      if (to != from) regions[to].Receive(from, *decoded);
    }
  };
  const int batch_max = count == 2 ? 4 : 1;
  const int writes = 4 + static_cast<int>(random() % 40);
  while (static_cast<int>(history.size()) < writes) {
    const Rank region = static_cast<Rank>(random() % count);
    switch (random() % 8) {
      case 0:
      case 1:
        if (const auto written = regions[region].Write(random)) history.push_back(*written);
        break;
      case 2:
      case 3:
        publish(region);
        break;
      case 4:
      case 5:
        if (const auto origin = static_cast<Rank>(random() % count); origin != region)
          regions[region].Apply(origin, batch_max);
        break;
      case 6:
        regions[region].LookAgain(&random);
        break;
      default:
        regions[region].Tick(static_cast<CommitTime>(random() % 3));
    }
  }
  for (Rank region = 0; region < count; ++region) {
    for (int left = 0; left < 100; ++left) publish(region);
  }
  for (Region& region : regions) {
    for (int round = 0; !region.Idle(); ++round) {
      region.Apply(static_cast<Rank>(random() % count), batch_max);
      if (random() % 3 == 0) region.LookAgain(&random);
    }
    for (int round = 0; round < 100 && region.LookAgain(nullptr); ++round) continue;
  }
  const std::map<int, Values> expected = Oracle(history);
  return std::all_of(regions.begin(), regions.end(),
                     [&](const Region& region) { return region.VisibleValues() == expected; });
}

int Diverged(Fault fault, uint32_t runs) {
  int diverged = 0;
  for (uint32_t seed = 1; seed <= runs; ++seed) {
    if (Run(seed, fault)) continue;
    if (fault == Fault::kNone && diverged == 0) ADD_FAILURE() << "diverged: seed " << seed;
    ++diverged;
  }
  return diverged;
}

TEST(UniqueKeysSimulationTest, EveryScheduleEndsWithTheRowsOfTheDefinition) {
  EXPECT_EQ(Diverged(Fault::kNone, 20'000), 0);
}

TEST(UniqueKeysSimulationTest, PlantedFaultsAreFound) {
  for (const Fault fault : {Fault::kNeverAgain, Fault::kByArrival, Fault::kNewStamp,
                            Fault::kBatchesCrowded, Fault::kDeletesPass, Fault::kUpdatesPass}) {
    EXPECT_GT(Diverged(fault, 3'000), 0) << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace pgduet
