// Runs of the model: none breaks a promise, and each part of the protocol that is left out is
// noticed.
//
//   ./dev simulate --runs 20000     more runs
//   ./dev simulate --seed 17        one run, with the story of the row when it breaks a promise
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "tests/simulation/policies/simulation.h"

namespace pgduet::policy_simulation {
namespace {

std::optional<uint64_t> FromEnvironment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::strtoull(text, nullptr, 10);
}

std::optional<std::string> ViolationOf(uint64_t seed, const Protocol& protocol,
                                       const Scope& scope) {
  try {
    Simulation(seed, protocol, scope).Run();
  } catch (const Violation& violation) {
    return violation.what();
  }
  return std::nullopt;
}

// Weather in which faults of one kind show.
Scope Fair() { return {}; }
// One row, columns of each kind.
Scope Merging() {
  Scope scope;
  scope.regions_max = 4;
  scope.tables_max = 1;
  scope.keys_max = 1;
  scope.merge_percent = 100;
  return scope;
}
// Rows that come and go.
Scope Reviving() {
  Scope scope = Merging();
  scope.delete_percent = 60;
  return scope;
}
// Deletes carry the key alone: local inserts come in between.
Scope Picking() {
  Scope scope;
  scope.regions_max = 3;
  scope.tables_max = 2;
  scope.keys_max = 1;
  scope.merge_percent = 0;
  scope.key_identity_percent = 100;
  scope.late_percent = 40;
  scope.delete_percent = 60;
  scope.lag_percent = 10;
  scope.lag_max = 600;
  return scope;
}
// The same with two regions, where a remote write is stable at once, and commits that take long to
// be seen.
Scope Lingering() {
  Scope scope = Picking();
  scope.regions_max = 2;
  scope.tables_max = 1;
  scope.transactions_max = 40;
  scope.idle_max = 20;
  scope.delete_percent = 80;
  scope.late_max = 100;
  return scope;
}
// The same, over soon: a fault is not covered by later writes.
Scope Brief() {
  Scope scope = Lingering();
  scope.transactions_max = 6;
  scope.delete_percent = 60;
  scope.late_percent = 30;
  scope.lag_percent = 20;
  scope.lag_max = 300;
  scope.rows_max = 1;
  return scope;
}
// The same, with a capture that sleeps for long.
Scope Sleepy() {
  Scope scope = Brief();
  scope.transactions_max = 10;
  scope.lag_percent = 6;
  scope.lag_max = 2'500;
  return scope;
}
// Capture is behind, agents end all the time.
Scope Stormy() {
  Scope scope;
  scope.regions_max = 4;
  scope.tables_max = 2;
  scope.keys_max = 1;
  scope.crash_permille = 12;
  scope.lag_percent = 15;
  scope.late_percent = 30;
  return scope;
}

TEST(PolicySimulationTest, NoRunBreaksAPromise) {
  const auto one = FromEnvironment("PGDUET_SIMULATION_SEED");
  const uint64_t first = one.value_or(1);
  const uint64_t runs = one ? 1 : FromEnvironment("PGDUET_SIMULATION_RUNS").value_or(60);
  for (const auto weather : {Fair, Merging, Reviving, Picking, Lingering, Brief, Stormy}) {
    for (uint64_t seed = first; seed < first + runs; ++seed) {
      const auto violation = ViolationOf(seed, {}, weather());
      EXPECT_FALSE(violation) << "seed " << seed << ": " << violation.value_or("");
    }
  }
}

struct PlantedFault {
  const char* name;
  bool Protocol::*part;
  Scope (*scope)();
  uint64_t seed;
};
void PrintTo(const PlantedFault& fault, std::ostream* out) { *out << fault.name; }

class PolicyFaultTest : public ::testing::TestWithParam<PlantedFault> {};

// The search begins at the seed that last found the fault, so that the test is quick; when the
// model changes, it goes on from there, and the seed that it prints is the new one to write below.
TEST_P(PolicyFaultTest, IsFound) {
  Protocol protocol;
  protocol.*GetParam().part = false;
  const Scope scope = GetParam().scope();
  const uint64_t first = GetParam().seed;
  const uint64_t runs = FromEnvironment("PGDUET_SIMULATION_RUNS").value_or(2'000);
  for (uint64_t seed = first; seed < first + runs; ++seed) {
    const auto violation = ViolationOf(seed, protocol, scope);
    // The fault's own, not the model's.
    if (!violation || ViolationOf(seed, {}, scope)) continue;
    // The whole story of one run: PGDUET_SIMULATION_RUNS=1.
    std::cout << GetParam().name << ": seed " << seed << ": "
              << (runs == 1 ? *violation : violation->substr(0, violation->find('\n'))) << "\n";
    return;
  }
  FAIL() << "not found in " << runs << " runs from seed " << first;
}

#define PLANTED(part, scope, seed) \
  PlantedFault { #part, &Protocol::part, scope, seed }
// Not here, because nothing tells them from the whole protocol:
// - clock_wait: every rule compares times only among writes that have not seen each other;
// - decoded_stable: what `stable` lets go are columns of merge tables, whose keys are claimed: a
//   local write that is still to come has seen all that its row's state holds.
INSTANTIATE_TEST_SUITE_P(
    All, PolicyFaultTest,
    ::testing::Values(PLANTED(journal_first, Fair, 1), PLANTED(journal_once, Stormy, 1),
                      PLANTED(journal_shows, Lingering, 250),
                      PLANTED(journal_own_row, Lingering, 1600),
                      PLANTED(journal_sees, Lingering, 1333), PLANTED(vector_from_wal, Fair, 340),
                      PLANTED(causal_hold, Fair, 1), PLANTED(writer_decoded, Fair, 1),
                      PLANTED(claims_keys, Merging, 100), PLANTED(barrier, Fair, 1),
                      PLANTED(missing_again, Brief, 2627), PLANTED(state_lock, Fair, 1),
                      PLANTED(drop_duplicates, Stormy, 1), PLANTED(stability, Fair, 1),
                      PLANTED(decoded_condition, Sleepy, 22334), PLANTED(applied_known, Merging, 1),
                      PLANTED(siblings_stay, Picking, 1), PLANTED(settled, Reviving, 1)),
    [](const auto& fault) { return fault.param.name; });
#undef PLANTED

}  // namespace
}  // namespace pgduet::policy_simulation
