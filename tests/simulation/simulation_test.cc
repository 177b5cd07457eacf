#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "tests/simulation/checker.h"
#include "tests/simulation/history_text.h"

namespace pgduet::simulation {
namespace {

std::optional<std::string> RunOne(uint64_t seed, const Protocol& protocol, const Scope& scope) {
  Simulation simulation(seed, protocol, scope);
  try {
    simulation.Run();
    Checker(simulation).Check();
  } catch (const Violation& violation) {
    if (std::getenv("TRACE")) std::cout << HistoryText(simulation);
    return violation.what();
  }
  return std::nullopt;
}

TEST(SimulationTest, Explore) {
  Protocol protocol;
  Scope scope;
  const char* text = std::getenv("SEEDS");
  int bad = 0;
  const int seeds = text ? atoi(text) : 300;
  const int from = std::getenv("FROM") ? atoi(std::getenv("FROM")) : 1;
  if (std::getenv("NOCRASH")) scope.crashes = false;
  if (std::getenv("TWO")) scope.regions_max = 2;
  for (int seed = from; seed < from + seeds; ++seed) {
    const auto violation = RunOne(seed, protocol, scope);
    if (violation && ++bad <= 12) std::cout << "seed=" << seed << " " << *violation << "\n";
  }
  EXPECT_EQ(bad, 0);
}

}  // namespace
}  // namespace pgduet::simulation
