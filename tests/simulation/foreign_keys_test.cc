// Foreign keys at 2 to 4 regions, step by step, against an oracle that knows only what the clients
// wrote and what the conflict logs say (docs/decisions/0007).
//
// At the end of each schedule: equal rows everywhere; no row without its parent where `on_orphan`
// says to act, and where it does not, each in the log of each region; and a row differs from what
// last write wins makes of the clients' writes only as a log says.
#include <gtest/gtest.h>

#include "tests/simulation/foreign_keys_model.h"

namespace pgduet::foreign_keys {
namespace {

class Schedule {
 public:
  Schedule(uint32_t seed, Fault fault) : random_(seed) {
    // Rules that check admits.
    const OnOrphan all[] = {OnOrphan::kReport, OnOrphan::kDeleteChild, OnOrphan::kReviveParent};
    rules_[1] = all[random_() % 3];
    rules_[2] = all[random_() % 3];
    const OrphanRule named[] = {{"child", "parent", rules_[1]}, {"grandchild", "child", rules_[2]}};
    if (RevivedHalfway(named) != nullptr) rules_[1] = OnOrphan::kReviveParent;
    std::vector<double> weights;
    for (int kind = 0; kind < 5; ++kind) weights.push_back(1 << (random_() % 5));
    weights.push_back(random_() % 2 == 0 ? 0.5 : 0);  // kills
    weights.push_back(1);
    weights_ = std::discrete_distribution<int>(weights.begin(), weights.end());
    const int count = 2 + static_cast<int>(random_() % 3);
    for (Rank rank = 0; rank < count; ++rank)
      regions_.emplace_back(rank, count, static_cast<CommitTime>(random_() % 20), rules_, fault);
  }

  // Nothing: all is well. Else what is wrong.
  std::string Run() {
    const int steps = 40 + static_cast<int>(random_() % 300);
    for (int step = 0; step < steps; ++step) AnyStep();
    if (!Settle()) return "it does not end";
    const std::map<Key, Row>& rows = regions_[0].rows();
    for (const Region& region : regions_) {
      if (!Equal(region.rows(), rows)) return "regions differ";
    }
    const std::string orphans = CheckOrphans(rows);
    return orphans.empty() ? CheckAgainstClients(rows) : orphans;
  }

 private:
  Rank AnyRegion() { return static_cast<Rank>(random_() % regions_.size()); }

  void Publish(Rank from) {
    const std::optional<Transaction> decoded = regions_[from].Decode();
    if (!decoded) return;
    if (decoded->client) history_.push_back(*decoded);
    for (Rank to = 0; to < static_cast<Rank>(regions_.size()); ++to) {
      if (to != from) regions_[to].Receive(from, *decoded);
    }
  }

  // How often what happens differs from schedule to schedule: races need a lot of one thing.
  void AnyStep() {
    const Rank region = AnyRegion();
    const Rank peer = AnyRegion();
    std::vector<Transaction> repairs;
    switch (weights_(random_)) {
      case 0:
        (void)regions_[region].ClientWrites(random_);
        break;
      case 1:
        Publish(region);
        break;
      case 2:
        if (peer != region) regions_[region].Apply(peer);
        break;
      case 3:
        regions_[region].Look(/*overdue=*/random_() % 30 == 0, repairs);
        break;
      case 4:
        if (peer != region) regions_[region].Hears(peer, regions_[peer]);
        regions_[region].RemoveStableTombstones();
        break;
      case 5:
        regions_[region].Kill();
        break;
      default:
        regions_[region].Tick(static_cast<CommitTime>(random_() % 3));
    }
  }

  bool Settle() {
    for (int round = 0; round < 300; ++round) {
      for (Rank region = 0; region < static_cast<Rank>(regions_.size()); ++region) {
        for (int left = 0; left < 20; ++left) Publish(region);
        for (int left = 0; left < 60; ++left) {
          if (const Rank origin = AnyRegion(); origin != region) regions_[region].Apply(origin);
        }
        std::vector<Transaction> repairs;
        regions_[region].Look(/*overdue=*/round > 100, repairs);
      }
      if (std::all_of(regions_.begin(), regions_.end(),
                      [](const Region& region) { return region.Quiet(); }))
        return true;
    }
    return false;
  }

  static bool Equal(const std::map<Key, Row>& one, const std::map<Key, Row>& other) {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                      [](const auto& left, const auto& right) {
                        return left.first == right.first &&
                               left.second.parent == right.second.parent &&
                               left.second.content == right.second.content;
                      });
  }

  bool Logged(Key orphan, int parent, Decision decision) const {
    return std::any_of(regions_.begin(), regions_.end(), [&](const Region& region) {
      return region.log().contains({orphan, parent, decision});
    });
  }

  std::string CheckOrphans(const std::map<Key, Row>& rows) const {
    for (const auto& [key, row] : rows) {
      if (key.table == 0 || row.parent == kNothing || rows.contains({key.table - 1, row.parent}))
        continue;
      if (rules_[key.table] != OnOrphan::kReport) return "an orphan is left";
      for (const Region& region : regions_) {
        if (!region.log().contains({key, row.parent, Decision::kReportOrphan}))
          return "an orphan is not logged in each region";
      }
    }
    return {};
  }

  // Rows that are there and should not be were revived for a child; rows that are not there and
  // should be were deleted as orphans: each as some log says.
  std::string CheckAgainstClients(const std::map<Key, Row>& rows) const {
    std::map<Key, std::pair<Stamp, std::optional<Row>>> last;
    for (const Transaction& transaction : history_) {
      for (const Change& change : transaction.changes) {
        auto& [stamp, row] = last[change.key];
        if (transaction.stamp < stamp) continue;
        stamp = transaction.stamp;
        row.reset();
        if (change.kind != Change::kDelete)
          row = Row{transaction.stamp, change.parent, change.content};
      }
    }
    for (const auto& [key, written] : last) {
      const auto& row = written.second;
      const auto at = rows.find(key);
      const bool here = at != rows.end();
      const bool same =
          here == row.has_value() &&
          (!here || (at->second.parent == row->parent && at->second.content == row->content));
      if (same) continue;
      if (!here) {
        bool told = false;
        for (int parent = 0; parent < kKeys; ++parent)
          told |= Logged(key, parent, Decision::kDeleteChild);
        if (!told) return "a row is gone, and no log says why";
        continue;
      }
      bool told = false;
      for (int child = 0; child < kKeys; ++child)
        told |= Logged({key.table + 1, child}, key.key, Decision::kReviveParent);
      if (!told) return "a row is there, and no log says why";
    }
    return {};
  }

  std::mt19937 random_;
  std::discrete_distribution<int> weights_;
  OnOrphan rules_[kTables] = {};
  std::vector<Region> regions_;
  std::vector<Transaction> history_;
};

TEST(ForeignKeysSimulationTest, EveryScheduleEndsEqualAndWithoutUntoldOrphans) {
  for (uint32_t seed = 1; seed <= 20'000; ++seed)
    ASSERT_EQ(Schedule(seed, Fault::kNone).Run(), "") << "seed " << seed;
}

bool Found(Fault fault) {
  for (uint32_t seed = 1; seed <= 300'000; ++seed) {
    if (!Schedule(seed, fault).Run().empty()) return true;
  }
  return false;
}

TEST(ForeignKeysSimulationTest, PlantedFaultsAreFound) {
  for (const Fault fault :
       {Fault::kParentsNotNoted, Fault::kChildrenNotNoted, Fault::kDecidedNotNoted,
        Fault::kLookOnce, Fault::kNotesInMemory, Fault::kUnpublished, Fault::kVersionOfTheDelete,
        Fault::kTombstonesGoEarly, Fault::kRevivedHalfway}) {
    EXPECT_TRUE(Found(fault)) << static_cast<int>(fault);
  }
}

}  // namespace
}  // namespace pgduet::foreign_keys
