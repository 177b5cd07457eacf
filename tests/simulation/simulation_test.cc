// Runs of the model: none breaks a promise, and each part of the protocol that is left out is
// noticed.
//
//   ./dev simulate --runs 20000     more runs
//   ./dev simulate --seed 17        one run, with its history when it breaks a promise
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/simulation/checker.h"
#include "tests/simulation/history_text.h"

namespace pgduet::simulation {
namespace {

std::optional<uint64_t> FromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::optional<std::string> ViolationOf(uint64_t seed, const Protocol& protocol, const Scope& scope,
                                       bool show_history) {
  Simulation simulation(seed, protocol, scope);
  try {
    simulation.Run();
    Checker(simulation).Check();
  } catch (const Violation& violation) {
    if (show_history) std::cout << HistoryText(simulation);
    return violation.what();
  }
  return std::nullopt;
}

TEST(SimulationTest, NoRunBreaksAPromise) {
  const auto one = FromEnvironment("PGDUET_SIMULATION_SEED");
  const uint64_t first = one.value_or(1);
  const uint64_t runs = one ? 1 : FromEnvironment("PGDUET_SIMULATION_RUNS").value_or(1'500);
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    const auto violation = ViolationOf(seed, Protocol(), Scope(), one.has_value());
    EXPECT_FALSE(violation) << "PGDUET_SIMULATION_SEED=" << seed << ": " << violation.value_or("");
  }
}

// Weather in which faults of one kind show: most need two operations on one key within a few steps.
Scope Fair() { return {}; }
// Databases crash often, and their last commits are not flushed for long.
Scope Stormy() {
  Scope scope;
  scope.regions_max = 3;
  scope.keys_max = 2;
  scope.turns_max = 3'000;
  scope.crash_interval = 400;
  scope.flush_pause_max = 300;
  scope.crash_again_percent = 70;
  return scope;
}
// Two regions, whose transactions are applied in batches; commit times run against WAL order.
Scope Crooked() {
  Scope scope;
  scope.regions_max = 2;
  scope.keys_max = 2;
  scope.crash_interval = 0;
  scope.tick_percent = 70;
  scope.preempted_percent = 40;
  scope.late_percent = 30;
  return scope;
}

// One row, agents and databases that crash all the time, and a WAL writer that sleeps.
Scope Typhoon() {
  Scope scope;
  scope.regions_max = 2;
  scope.keys_max = 1;
  scope.turns_max = 4'000;
  scope.crash_interval = 150;
  scope.flush_pause_max = 1'500;
  scope.crash_again_percent = 80;
  scope.subtransaction_percent = 50;
  return scope;
}

// Commits that take long to be seen, on few rows.
Scope Lingering() {
  Scope scope;
  scope.keys_max = 1;
  scope.crash_interval = 0;
  scope.late_percent = 50;
  scope.tick_percent = 60;
  return scope;
}

struct PlantedFault {
  const char* name;
  bool Protocol::*part;
  Scope (*scope)();
  uint64_t seed;
};

void PrintTo(const PlantedFault& fault, std::ostream* out) { *out << fault.name; }

TEST(SimulationTest, NoRunInRoughWeatherBreaksAPromise) {
  const uint64_t runs = FromEnvironment("PGDUET_SIMULATION_RUNS").value_or(500);
  for (const auto weather : {Stormy, Typhoon, Crooked, Lingering}) {
    for (uint64_t seed = 1; seed <= runs; ++seed) {
      const auto violation = ViolationOf(seed, Protocol(), weather(), false);
      EXPECT_FALSE(violation) << "seed " << seed << ": " << violation.value_or("");
    }
  }
}

class PlantedFaultTest : public testing::TestWithParam<PlantedFault> {};

// The search begins at the seed that last found the fault, so that the test is quick; when the
// model changes, it goes on from there, and the seed that it prints is the new one to write below.
TEST_P(PlantedFaultTest, IsFound) {
  Protocol protocol;
  protocol.*GetParam().part = false;
  const Scope scope = GetParam().scope();
  const uint64_t first = GetParam().seed;
  const uint64_t runs = FromEnvironment("PGDUET_SIMULATION_RUNS").value_or(20'000);
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    const auto violation = ViolationOf(seed, protocol, scope, false);
    if (!violation || ViolationOf(seed, Protocol(), scope, false))
      continue;  // the fault's own, not the model's
    std::cout << GetParam().name << ": seed " << seed << ": " << *violation << "\n";
    return;
  }
  FAIL() << "not found in " << runs << " runs from seed " << first;
}

#define PLANTED(part, scope, seed) \
  PlantedFault { #part, &Protocol::part, scope, seed }
// Not here: batch_highest_time and stream_order. 50,000 runs did not tell them from the whole
// protocol, because batch_closed lets no batch form in which they would matter
// (docs/decisions/0002, G); they stay as a second line.
INSTANTIATE_TEST_SUITE_P(
    All, PlantedFaultTest,
    testing::Values(PLANTED(by_version, Fair, 1), PLANTED(journal_replays, Fair, 29),
                    PLANTED(clock_wait, Fair, 250), PLANTED(causal_hold, Fair, 1),
                    PLANTED(stability, Fair, 2), PLANTED(registration_check, Fair, 155),
                    PLANTED(coverage_by_horizon, Fair, 18), PLANTED(vector_from_wal, Fair, 1),
                    PLANTED(barrier, Fair, 2), PLANTED(confirm_published, Fair, 91),
                    PLANTED(sweep, Fair, 152), PLANTED(batch_closed, Fair, 334),
                    PLANTED(sweep_hits, Fair, 3000), PLANTED(pending_first, Fair, 3178),
                    PLANTED(closed_time, Lingering, 61142),
                    PLANTED(flush_before_load, Stormy, 7546),
                    PLANTED(samples_flushed, Typhoon, 19255), PLANTED(memory_set_back, Fair, 1363),
                    PLANTED(removal_flushed, Stormy, 11572),
                    PLANTED(replay_checks_vector, Fair, 11141),
                    PLANTED(time_lookup_bounded, Fair, 6025), PLANTED(own_tombstones, Fair, 40),
                    PLANTED(batch_peers_closed, Fair, 27), PLANTED(batch_exact, Fair, 2010)),
    [](const auto& fault) { return fault.param.name; });
#undef PLANTED

}  // namespace
}  // namespace pgduet::simulation
