#include "base/sql_schema.h"

#include <gtest/gtest.h>

namespace pgduet {
namespace {

const SchemaName kName{.written = "pgduet", .meant = "pgduet_orders"};

TEST(SqlSchemaTest, EveryQualifiedNameIsInTheOtherSchema) {
  EXPECT_EQ(WithSchema("SELECT pgduet.resolve($1) FROM pgduet.progress p, (pgduet.region)", kName),
            "SELECT pgduet_orders.resolve($1) FROM pgduet_orders.progress p, "
            "(pgduet_orders.region)");
}

TEST(SqlSchemaTest, WhatUsersCanChooseStaysAsItIs) {
  for (const char* sql : {R"(UPDATE "pgduet.stock" SET "a pgduet.b" = 1)",
                          "SELECT 'pgduet.barrier', 'it''s pgduet.x'",
                          "SELECT E'back\\\\', 'pgduet.x' -- isn't pgduet.x\n, 1",
                          "SELECT my_pgduet.x, pgduet2.x, pgduet, pgduet_.x"}) {
    EXPECT_EQ(WithSchema(sql, kName), sql);
  }
}

TEST(SqlSchemaTest, ATextThatEndsInTheMiddleIsTakenToItsEnd) {
  for (const char* sql : {"", "'pgduet.x", "\"pgduet.x", "pgduet", "-- pgduet.x"})
    EXPECT_EQ(WithSchema(sql, kName), sql);
  EXPECT_EQ(WithSchema("pgduet.", kName), "pgduet_orders.");
}

TEST(SqlSchemaTest, NamesBehindALiteralOrACommentCountAgain) {
  EXPECT_EQ(WithSchema("SELECT 'it''s' FROM pgduet.lag", kName),
            "SELECT 'it''s' FROM pgduet_orders.lag");
  EXPECT_EQ(WithSchema("SELECT -- isn't it\n FROM pgduet.lag", kName),
            "SELECT -- isn't it\n FROM pgduet_orders.lag");
}

}  // namespace
}  // namespace pgduet
