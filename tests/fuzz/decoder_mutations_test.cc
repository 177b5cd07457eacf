// Every fuzz target with seeded mutations of its samples. PGDUET_SEED repeats a run; ./dev fuzz
// looks deeper.
#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

#include "base/log.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/mutator.h"

namespace pgduet {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("PGDUET_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
}

class DecoderMutationsTest : public testing::TestWithParam<FuzzTarget> {
 protected:
  // Warnings about what was mutated say nothing here.
  static void SetUpTestSuite() { ConfigureLog(LogFormat::kLogfmt, LogLevel::kError, "fuzz"); }
};

TEST_P(DecoderMutationsTest, SamplesAreSound) {
  int accepted = 0;
  for (const std::string& sample : GetParam().seeds()) {
    const FuzzOutcome outcome = GetParam().run(sample);
    EXPECT_EQ(outcome.complaint, "") << testing::PrintToString(sample.substr(0, 2000));
    if (outcome.accepted) ++accepted;
  }
  EXPECT_GT(accepted, 0);
}

TEST_P(DecoderMutationsTest, PropertiesHoldForMutatedSamples) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(testing::Message() << "PGDUET_SEED=" << seed);
  std::cout << "PGDUET_SEED=" << seed << '\n';
  Mutator mutator(seed, GetParam().seeds());
  int accepted = 0;
  constexpr int kRounds = 8000;
  for (int round = 0; round < kRounds; ++round) {
    const std::string bytes = mutator.Next();
    const FuzzOutcome outcome = GetParam().run(bytes);
    ASSERT_EQ(outcome.complaint, "")
        << "round " << round << ": " << testing::PrintToString(bytes.substr(0, 2000));
    if (outcome.accepted) ++accepted;
  }
  // Both sides of the decoder were reached.
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, kRounds);
}

INSTANTIATE_TEST_SUITE_P(All, DecoderMutationsTest,
                         testing::ValuesIn(FuzzTargets().begin(), FuzzTargets().end()),
                         [](const auto& target) { return std::string(target.param.name); });

}  // namespace
}  // namespace pgduet
