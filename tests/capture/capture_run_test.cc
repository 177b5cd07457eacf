// What of a capture's run needs no database. The rest is for the integration tests.
#include "capture/capture_run.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(DiscardingLogWriterTest, KeepsNothingAndCallsEverythingDurable) {
  DiscardingLogWriter writer;
  EXPECT_EQ(writer.DurableCount(), 0u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(writer.Append(std::string(1 << 20, 'x')).ok());
  EXPECT_TRUE(writer.Wait(absl::Hours(1)).ok());
  EXPECT_EQ(writer.AppendedCount(), 3u);
  EXPECT_EQ(writer.DurableCount(), 3u);
  EXPECT_FALSE((*writer.ReadTail()).has_value());
}

}  // namespace
}  // namespace pgduet
