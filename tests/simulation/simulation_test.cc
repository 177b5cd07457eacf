// Runs of the model: none breaks a promise, and each part of the protocol that is left out is noticed.
//
//   PGDUET_SIMULATION_RUNS=20000 simulation_test    more runs
//   PGDUET_SIMULATION_SEED=17 simulation_test       one run, with its history when it breaks a promise
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

std::optional<std::string> ViolationOf(uint64_t seed, const Protocol& protocol, const Scope& scope, bool show_history) {
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

struct PlantedFault {
  const char* name;
  bool Protocol::*part;
};

class PlantedFaultTest : public testing::TestWithParam<PlantedFault> {};

TEST_P(PlantedFaultTest, IsFound) {
  Protocol protocol;
  protocol.*GetParam().part = false;
  constexpr uint64_t kRunsMax = 40'000;
  for (uint64_t seed = 1; seed <= kRunsMax; ++seed) {
    if (const auto violation = ViolationOf(seed, protocol, Scope(), false)) {
      std::cout << GetParam().name << ": seed " << seed << ": " << *violation << "\n";
      return;
    }
  }
  FAIL() << "not found in " << kRunsMax << " runs";
}

#define PLANTED(part) PlantedFault{#part, &Protocol::part}
INSTANTIATE_TEST_SUITE_P(
    All, PlantedFaultTest,
    testing::Values(PLANTED(by_version), PLANTED(journal_replays), PLANTED(clock_wait), PLANTED(causal_hold), PLANTED(stability),
                    PLANTED(registration_check), PLANTED(coverage_by_horizon), PLANTED(vector_from_wal), PLANTED(barrier),
                    PLANTED(confirm_published), PLANTED(sweep), PLANTED(batch_closed), PLANTED(batch_highest_time),
                    PLANTED(stream_order), PLANTED(sweep_hits), PLANTED(pending_first), PLANTED(closed_time),
                    PLANTED(flush_before_load), PLANTED(samples_flushed), PLANTED(memory_set_back), PLANTED(removal_flushed),
                    PLANTED(replay_checks_vector), PLANTED(time_lookup_bounded), PLANTED(own_tombstones)),
    [](const auto& fault) { return fault.param.name; });
#undef PLANTED

}  // namespace
}  // namespace pgduet::simulation
