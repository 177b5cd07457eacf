#include "schemas/sidecar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(SidecarTest, TheFirstSetHasTheSchemaThatItAlwaysHad) {
  EXPECT_EQ(SidecarSchema("main"), "pgduet");
  EXPECT_EQ(SidecarSchema("big-orders"), "pgduet_big_orders");
}

TEST(SidecarTest, TheSqlOfASetNamesNoOtherSchema) {
  EXPECT_THAT(SidecarSql("main"), testing::HasSubstr("TABLE IF NOT EXISTS pgduet.identity"));
  const std::string sql = SidecarSql("orders");
  EXPECT_THAT(sql, testing::Not(testing::HasSubstr("pgduet.")));
  EXPECT_THAT(sql, testing::HasSubstr("TABLE IF NOT EXISTS pgduet_orders.identity"));
  EXPECT_THAT(sql, testing::HasSubstr("FROM pgduet_orders.row_state s"));  // in a function's body
}

TEST(SidecarTest, SessionsOfTheFirstSetSendWhatIsWritten) {
  const PgConnection::Options session = SetSession("dbname=shop", "main", "housekeeper");
  EXPECT_EQ(session.conninfo, "dbname=shop");
  EXPECT_EQ(session.application_name, "pgduet housekeeper");
  EXPECT_EQ(session.settings, PinnedSettings());
  EXPECT_EQ(session.schema.meant, "");
}

TEST(SidecarTest, SessionsOfAnotherSetReachItsSchema) {
  const PgConnection::Options session = SetSession("dbname=shop", "orders", "housekeeper");
  EXPECT_EQ(session.application_name, "pgduet orders housekeeper");
  EXPECT_EQ(WithSchema("SELECT FROM pgduet.progress", session.schema),
            "SELECT FROM pgduet_orders.progress");
}

}  // namespace
}  // namespace pgduet
