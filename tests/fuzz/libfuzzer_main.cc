// libFuzzer's entry for the target named at compile time. With PGDUET_FUZZ_SEEDS set, its seeds are
// written there first.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include <fmt/format.h>

#include "base/log.h"
#include "tests/fuzz/fuzz_target.h"

namespace pgduet {
namespace {

const FuzzTarget& Target() {
  for (const FuzzTarget& target : FuzzTargets()) {
    if (target.name == PGDUET_FUZZ_TARGET) return target;
  }
  std::abort();
}

}  // namespace
}  // namespace pgduet

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  pgduet::ConfigureLog(pgduet::LogFormat::kLogfmt, pgduet::LogLevel::kError, "fuzz");
  const char* folder = std::getenv("PGDUET_FUZZ_SEEDS");
  if (folder == nullptr) return 0;
  int number = 0;
  for (const std::string& seed : pgduet::Target().seeds()) {
    std::ofstream(fmt::format("{}/seed-{}", folder, number++), std::ios::binary) << seed;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const pgduet::FuzzTarget& target = pgduet::Target();
  const pgduet::FuzzOutcome outcome = target.run({reinterpret_cast<const char*>(data), size});
  if (outcome.complaint.empty()) return 0;
  std::fprintf(stderr, "property broken: %s: %s\n", PGDUET_FUZZ_TARGET, outcome.complaint.c_str());
  std::abort();
}
