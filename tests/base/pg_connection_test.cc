#include "base/pg_connection.h"

#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/base/scripted_server.h"

namespace pgduet {
namespace {

// What a query ends with when the server answers it with these fields of an error.
absl::Status ErrorOf(std::vector<std::string> fields) {
  ScriptedServer server(std::move(fields));
  auto connection = PgConnection::Open(
      {.conninfo = server.conninfo(), .application_name = "unit test", .settings = {}});
  EXPECT_TRUE(connection.ok()) << connection.status();
  if (!connection.ok()) return connection.status();
  const absl::Status status = (*connection)->Query("SELECT 1").status();
  EXPECT_EQ((*connection)->Query("SELECT $1", {std::nullopt}).status().code(), status.code());
  return status;
}

struct ErrorClass {
  const char* sqlstate;
  absl::StatusCode code;
  const char* name;
};

class ErrorClassTest : public testing::TestWithParam<ErrorClass> {};

TEST_P(ErrorClassTest, SaysWhatTheCallerCanDo) {
  const absl::Status status =
      ErrorOf({"SERROR", std::string("C") + GetParam().sqlstate, "Mtext of the server"});
  EXPECT_EQ(status.code(), GetParam().code) << status;
  EXPECT_EQ(ErrorName(status), GetParam().name);
  EXPECT_EQ(SqlState(status), GetParam().sqlstate);
}

INSTANTIATE_TEST_SUITE_P(
    PgConnectionTest, ErrorClassTest,
    testing::Values(
        ErrorClass{"40001", absl::StatusCode::kAborted,
                   "transaction_conflict"},  // serialization failure
        ErrorClass{"40P01", absl::StatusCode::kAborted, "transaction_conflict"},  // deadlock
        ErrorClass{"55P03", absl::StatusCode::kAborted, "transaction_conflict"},  // lock timeout
        ErrorClass{"08006", absl::StatusCode::kUnavailable,
                   "database_unavailable"},  // connection failure
        ErrorClass{"57P01", absl::StatusCode::kUnavailable,
                   "database_unavailable"},  // admin shutdown
        ErrorClass{"57P03", absl::StatusCode::kUnavailable, "database_unavailable"},  // starting up
        ErrorClass{"53300", absl::StatusCode::kUnavailable,
                   "database_unavailable"},                              // too many connections
        ErrorClass{"57014", absl::StatusCode::kCancelled, "cancelled"},  // statement cancelled
        ErrorClass{"42P01", absl::StatusCode::kFailedPrecondition, "database_error"},
        ErrorClass{"53100", absl::StatusCode::kFailedPrecondition, "database_error"}),
    [](const auto& one) { return std::string("State") + one.param.sqlstate; });

TEST(PgConnectionTest, TheServersTextIsOneLineWithoutDetail) {
  const absl::Status status =
      ErrorOf({"C42P01", "Mrelation is\nmissing", "DKey (id)=(4711) is secret", "Hhint", "tusers",
               "cname", "npk"});
  EXPECT_EQ(status.message(),
            "relation is missing: sqlstate=42P01 table=users column=name constraint=pk");
}

TEST(PgConnectionTest, TextsThatCanQuoteValuesAreLeftOut) {
  for (const char* sqlstate : {"22P02", "23505", "P0001"}) {
    const absl::Status status =
        ErrorOf({std::string("C") + sqlstate, "Minvalid input: \"4711\"", "D(4711)", "tusers"});
    EXPECT_EQ(status.message(),
              std::string("the database refused a value: sqlstate=") + sqlstate + " table=users");
  }
}

TEST(PgConnectionTest, ALostConnectionIsUnavailable) {
  const absl::Status status = ErrorOf({});
  EXPECT_TRUE(absl::IsUnavailable(status));
  EXPECT_EQ(ErrorName(status), "database_unavailable");
  EXPECT_EQ(SqlState(status), "");
}

TEST(PgConnectionTest, AServerThatIsNotThereIsNamedWithoutThePassword) {
  const auto connection =
      PgConnection::Open({.conninfo = "host=/nowhere dbname=shop user=u password=secret",
                          .application_name = "t",
                          .settings = {}});
  ASSERT_FALSE(connection.ok());
  EXPECT_TRUE(absl::IsUnavailable(connection.status()));
  EXPECT_EQ(ErrorName(connection.status()), "database_unavailable");
  EXPECT_NE(connection.status().message().find("/nowhere"), std::string::npos);
  EXPECT_EQ(connection.status().message().find("secret"), std::string::npos);
  EXPECT_EQ(connection.status().message().find('\n'), std::string::npos);
}

TEST(PgConnectionTest, NamesAreQuotedByDoubling) {
  EXPECT_EQ(QuoteName("accounts"), "\"accounts\"");
  EXPECT_EQ(QuoteName("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
  EXPECT_EQ(QuoteName("größe"), "\"größe\"");
}

}  // namespace
}  // namespace pgduet
