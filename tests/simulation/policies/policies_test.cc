#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "tests/simulation/policies/simulation.h"

namespace pgduet::policy_simulation {
namespace {

std::optional<std::string> ViolationOf(uint64_t seed, const Protocol& protocol,
                                       const Scope& scope) {
  try {
    Simulation(seed, protocol, scope).Run();
  } catch (const Violation& violation) {
    return violation.what();
  }
  return std::nullopt;
}

TEST(Scratch, Runs) {
  const int runs = std::atoi(std::getenv("RUNS") ? std::getenv("RUNS") : "200");
  int bad = 0;
  Protocol protocol; Scope scope;
  protocol.claims_keys = std::getenv("CLAIMS") != nullptr;
  scope.strict = std::getenv("STRICT") != nullptr;
  const int first = std::getenv("SEED") ? std::atoi(std::getenv("SEED")) : 1;
  for (int seed = first; seed < first + runs; ++seed) {
    if (auto violation = ViolationOf(seed, protocol, scope)) {
      ++bad;
      if (bad <= 10) std::cout << seed << ": " << *violation << std::endl;
    }
  }
  std::cout << bad << " of " << runs << "\n";
}

}  // namespace
}  // namespace pgduet::policy_simulation
