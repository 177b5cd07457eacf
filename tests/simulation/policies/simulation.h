// One run: regions and their actors in an order that the dice choose, with crashes of agents; then
// quiet, until everything has arrived everywhere.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>

#include "tests/simulation/policies/applier.h"
#include "tests/simulation/policies/capture.h"
#include "tests/simulation/policies/checker.h"
#include "tests/simulation/policies/client.h"
#include "tests/simulation/policies/housekeeper.h"

namespace pgduet::policy_simulation {

class Simulation {
 public:
  Simulation(uint64_t seed, const Protocol& protocol, const Scope& scope)
      : world_{.protocol = protocol,
               .scope = scope,
               .dice = Dice(seed),
               .tables = {},
               .whole_deletes = {},
               .histories = {}} {
    world_.regions = world_.dice.Between(2, scope.regions_max);
    world_.keys = world_.dice.Between(1, scope.keys_max);
    for (int table = world_.dice.Between(1, scope.tables_max); table > 0; --table)
      world_.tables.emplace_back(RandomShape());
    for (const RowEngine& table : world_.tables) {
      const bool merges = table.shape().policy.kind == PolicyKind::kMerge;
      world_.whole_deletes.push_back(merges || !world_.dice.Percent(scope.key_identity_percent));
    }
    for (Rank rank = 0; rank < world_.regions; ++rank)
      regions_.push_back(std::make_unique<Region>(world_, rank, regions_));
    for (const auto& region : regions_) {
      for (int client = world_.dice.Between(1, 2); client > 0; --client)
        Start<Client>(*region, /*agent=*/false);
      StartAgent(*region);
    }
  }
  ~Simulation() { actors_.clear(); }
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // Throws the first Violation.
  void Run() {
    constexpr int kStepsMax = 200'000;
    const Checker checker(world_);
    int step = 0;
    for (; step < kStepsMax && !Finished(); ++step) {
      Turn();
      if (!ClientsDone() && world_.dice.Permille(world_.scope.crash_permille)) CrashAgent();
      if (world_.dice.Permille(2)) StepClock();
      if (step % 20 == 0) checker.CheckNow(*regions_[world_.dice.Below(regions_.size())]);
    }
    if (step == kStepsMax) throw Violation("stuck");
    for (const auto& region : regions_) checker.CheckEnd(*region);
  }

 private:
  struct Running {
    Region* region;
    bool agent;
    std::shared_ptr<void> object;  // outlives the actor
    std::unique_ptr<Actor> actor;
  };

  RowShape RandomShape() {
    constexpr PolicyKind kPicks[] = {PolicyKind::kFirstWriteWins, PolicyKind::kRegionPriority,
                                     PolicyKind::kVersions, PolicyKind::kCustom,
                                     PolicyKind::kError};
    constexpr OnDelete kRules[] = {OnDelete::kNewestWins, OnDelete::kDeleteWins,
                                   OnDelete::kUpdateWins};
    const OnDelete rule = kRules[world_.dice.Below(3)];
    if (world_.dice.Percent(world_.scope.merge_percent)) return testing::MergeShape(rule);
    return testing::PickShape(kPicks[world_.dice.Below(5)], rule, world_.regions);
  }

  template <typename Object, typename... Arguments>
  void Start(Region& region, bool agent, Arguments... arguments) {
    auto object = std::make_shared<Object>(region, arguments...);
    auto actor = std::make_unique<Actor>(object->Run());
    actors_.push_back({&region, agent, std::move(object), std::move(actor)});
  }
  void StartAgent(Region& region) {
    region.memory = {};
    Start<Capture>(region, true);
    Start<Housekeeper>(region, true);
    for (Rank origin = 0; origin < world_.regions; ++origin) {
      if (origin != region.rank) Start<Applier>(region, true, origin);
    }
  }
  void CrashAgent() {
    Region& region = *regions_[world_.dice.Below(regions_.size())];
    std::erase_if(actors_, [&](const Running& one) { return one.region == &region && one.agent; });
    StartAgent(region);
  }
  void StepClock() {
    constexpr int kSkews[] = {0, 0, 3, -3, 12, -12};
    regions_[world_.dice.Below(regions_.size())]->skew = kSkews[world_.dice.Below(6)];
  }

  void Turn() {
    if (world_.dice.Percent(world_.scope.tick_percent))
      world_.now += static_cast<CommitTime>(world_.dice.Below(3));
    Running& chosen = actors_[world_.dice.Below(actors_.size())];
    for (int turn = world_.dice.Between(1, 6); turn > 0 && !chosen.actor->done(); --turn)
      chosen.actor->Resume();
  }

  bool ClientsDone() const {
    return std::all_of(actors_.begin(), actors_.end(),
                       [](const Running& one) { return one.agent || one.actor->done(); });
  }
  bool Finished() {
    if (!ClientsDone()) return false;
    for (const auto& region : regions_) {
      if (!Checker::Quiet(*region)) return false;
      for (const auto& peer : regions_) {
        if (peer != region && Published(*peer) > Arrived(*region, peer->rank)) return false;
      }
    }
    return true;
  }
  static Lsn Published(const Region& region) {
    Lsn newest;
    for (const Record& record : region.topic) {
      if (!record.heartbeat) newest = std::max(newest, record.position.commit_lsn);
    }
    return newest;
  }
  static Lsn Arrived(Region& region, Rank origin) {
    return region.database.progress(origin).position.commit_lsn;
  }

  World world_;
  std::vector<std::unique_ptr<Region>> regions_;
  std::vector<Running> actors_;
};

}  // namespace pgduet::policy_simulation
