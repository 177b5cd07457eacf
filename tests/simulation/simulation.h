// One run: a group of regions and their actors, in an order that the dice choose, with crashes;
// then quiet, until everything has arrived everywhere.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/format.h>

#include "tests/simulation/application.h"
#include "tests/simulation/applier.h"
#include "tests/simulation/capture.h"
#include "tests/simulation/housekeeper.h"

namespace pgduet::simulation {

class Simulation {
 public:
  Simulation(uint64_t seed, const Protocol& protocol, const Scope& scope)
      : world_{.protocol = protocol, .scope = scope, .dice = Dice(seed)}, scope_(scope) {
    world_.regions = world_.dice.Between(scope.regions_min, scope.regions_max);
    world_.keys = world_.dice.Between(1, scope.keys_max);
    for (Rank rank = 0; rank < world_.regions; ++rank) {
      regions_.push_back(std::make_unique<Region>(world_, rank, regions_));
      constexpr int kSkews[] = {0, 0, 3, -3, 25};
      regions_.back()->skew = kSkews[world_.dice.Below(5)];
    }
    for (const auto& region : regions_) {
      for (int client = world_.dice.Between(1, scope.clients_max); client > 0; --client) {
        Start<Application>(*region, Life::kDatabase);
      }
      Start<WalWriter>(*region, Life::kDatabase);
      StartAgent(*region);
    }
  }
  ~Simulation() { actors_.clear(); }
  Simulation(const Simulation&) = delete;
  Simulation& operator=(const Simulation&) = delete;

  // Throws a Violation when something cannot end.
  void Run() {
    const uint64_t busy = world_.dice.Between(scope_.turns_max / 10, scope_.turns_max);
    while (world_.step < busy) {
      Turn();
      const bool due = crash_again_at_ != 0 && world_.step >= crash_again_at_;
      if (due) CrashAgain();
      if (scope_.crash_interval > 0 && world_.dice.Below(scope_.crash_interval) == 0)
        CrashSomething();
    }
    world_.stopping = true;
    for (const uint64_t end = world_.step + 400'000; !Quiet();) {
      for (int turn = 0; turn < 50; ++turn) Turn();
      if (world_.step > end) throw Violation(Standing());
    }
  }

  const std::vector<std::unique_ptr<Region>>& regions() const { return regions_; }
  const World& world() const { return world_; }

 private:
  // Whose crash ends an actor too.
  enum class Life { kDatabase, kAgent };

  struct Running {
    Region* region;
    Life life;
    std::function<void(Simulation&)> restart;
    std::shared_ptr<void> object;  // outlives the actor
    std::unique_ptr<Actor> actor;
    bool ends;  // when the run comes to its end
    int speed;
    uint64_t asleep_until = 0;
  };

  template <typename Object, typename... Arguments>
  void Start(Region& region, Life life, Arguments... arguments) {
    auto object = std::make_shared<Object>(region, arguments...);
    auto actor = std::make_unique<Actor>(object->Run());
    constexpr int kSpeeds[] = {1, 2, 2, 4, 8};
    actors_.push_back({.region = &region,
                       .life = life,
                       .restart =
                           [&region, life, arguments...](Simulation& simulation) {
                             simulation.Start<Object>(region, life, arguments...);
                           },
                       .object = std::move(object),
                       .actor = std::move(actor),
                       .ends = std::is_same_v<Object, Application>,
                       .speed = kSpeeds[world_.dice.Below(5)]});
  }
  void StartAgent(Region& region) {
    Start<Capture>(region, Life::kAgent);
    Start<Housekeeper>(region, Life::kAgent);
    for (Rank origin = 0; origin < world_.regions; ++origin) {
      if (origin != region.rank) Start<Applier>(region, Life::kAgent, origin);
    }
  }

  // Flushes what asynchronous commits left.
  class WalWriter {
   public:
    explicit WalWriter(Region& region) : region_(region) {}
    Task<void> Run() {
      while (true) {
        const int pause = region_.world.scope.flush_pause_max;
        co_await Pause(region_.world, pause, 5, 200 + pause);
        co_await Step{};
        region_.database.Flush(region_.database.end());
      }
    }

   private:
    Region& region_;
  };

  void Turn() {
    ++world_.step;
    if (world_.dice.Percent(scope_.tick_percent))
      world_.now += static_cast<CommitTime>(world_.dice.Below(3));
    Running& chosen = actors_[world_.dice.Below(actors_.size())];
    if (chosen.actor->done() || chosen.asleep_until > world_.step) return;
    const bool tired = !world_.stopping && world_.dice.Permille(3);
    if (tired) chosen.asleep_until = world_.step + world_.dice.Below(1'500);
    for (int turn = 0; turn < chosen.speed && !chosen.actor->done(); ++turn) chosen.actor->Resume();
  }

  void CrashSomething() {
    Region& region = *regions_[world_.dice.Below(regions_.size())];
    const bool database = world_.dice.Percent(60);
    Crash(region, database, !database || world_.dice.Percent(30));
    if (database || !world_.dice.Percent(scope_.crash_again_percent)) return;
    crash_again_at_ = world_.step + world_.dice.Below(80);
    crash_again_ = &region;
  }
  void CrashAgain() {
    crash_again_at_ = 0;
    Crash(*crash_again_, true, false);
  }

  void Crash(Region& region, bool database, bool agent) {
    std::vector<std::function<void(Simulation&)>> restarts;
    std::erase_if(actors_, [&](Running& running) {
      if (running.region != &region || (!database && running.life == Life::kDatabase)) return false;
      restarts.push_back(running.restart);
      running.actor.reset();
      return true;
    });
    if (database) CrashDatabase(region);
    if (agent) {
      region.NewMemory();
      region.history_lost = true;
    }
    for (const auto& restart : restarts) restart(*this);
  }

  void CrashDatabase(Region& region) {
    const Lsn flushed = region.database.flushed();
    const uint64_t unflushed = region.database.end().BytesSince(flushed);
    region.database.Crash(Lsn(flushed.value() + world_.dice.Below(unflushed + 1)));
    // The slot's own position is stored now and then only.
    const uint64_t back = world_.dice.Below(6);
    region.confirmed = Lsn(region.confirmed.BytesSince(Lsn(back)));
  }

  bool Quiet() const {
    for (const Running& running : actors_) {
      if (running.ends && !running.actor->done()) return false;
    }
    for (const auto& region : regions_) {
      if (!Quiet(*region)) return false;
    }
    return true;
  }
  bool Quiet(const Region& region) const {
    const Database& database = region.database;
    if (database.flushed() < database.end() || region.decoded < database.end()) return false;
    for (const auto& [key, tombstone] : database.tombstones()) {
      if (tombstone.unswept) return false;
    }
    for (Rank origin = 0; origin < world_.regions; ++origin) {
      if (origin != region.rank && Applied(region, origin) < Published(origin)) return false;
    }
    return true;
  }
  static uint64_t Applied(const Region& region, Rank origin) {
    const Progress* last = region.database.LastProgress(origin);
    return last != nullptr ? last->position.sequence : 0;
  }
  uint64_t Published(Rank origin) const {
    uint64_t sequence = 0;
    for (const Record& record : regions_[origin]->topic)
      sequence = std::max(sequence, record.sequence);
    return sequence;
  }

  std::string Standing() const {
    std::string text = "stuck:";
    for (const auto& region : regions_) {
      text += fmt::format(" region {}: log {} flushed {} decoded {}", region->rank,
                          region->database.end().value(), region->database.flushed().value(),
                          region->decoded.value());
      for (Rank origin = 0; origin < world_.regions; ++origin) {
        if (origin == region->rank) continue;
        text += fmt::format(" [{}: {} of {}]", origin, Applied(*region, origin), Published(origin));
      }
    }
    return text;
  }

  World world_;
  const Scope scope_;
  uint64_t crash_again_at_ = 0;
  Region* crash_again_ = nullptr;
  std::vector<std::unique_ptr<Region>> regions_;
  std::vector<Running> actors_;
};

}  // namespace pgduet::simulation
