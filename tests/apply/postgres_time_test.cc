#include "apply/postgres_time.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(PostgresTimeTest, TimesAreWrittenToTheMicrosecondInUtc) {
  EXPECT_EQ(TimestampText(0), "1970-01-01 00:00:00.000000+00");
  EXPECT_EQ(TimestampText(1'772'366'400'250'001), "2026-03-01 12:00:00.250001+00");
  EXPECT_EQ(TimestampText(-1), "1969-12-31 23:59:59.999999+00");
}

TEST(PostgresTimeTest, TheOldestTimeIsBeforeAllOthers) {
  EXPECT_EQ(TimestampText(kOldestTime), "-infinity");
}

TEST(PostgresTimeTest, AnExpressionIsTakenAsItStands) {
  EXPECT_EQ(MicrosecondsOf("now()"), "(extract(epoch FROM now()) * 1000000)::bigint");
}

}  // namespace
}  // namespace pgduet
