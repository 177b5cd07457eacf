#include "apply/refused_statement.h"

#include <gtest/gtest.h>

#include "apply/decoder_barrier.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

absl::Status FromServer(const char* sqlstate) {
  absl::Status status = NamedError(absl::StatusCode::kFailedPrecondition, "database_error",
                                   "the database refused a statement", "");
  SetSqlState(status, sqlstate);
  return status;
}

TEST(RefusedStatementTest, TheLongestKnownStateNamesTheError) {
  EXPECT_EQ(ErrorName(RefusedStatement(FromServer("23505"))), "unique_violation");
  EXPECT_EQ(ErrorName(RefusedStatement(FromServer("23514"))), "check_violation");
  EXPECT_EQ(ErrorName(RefusedStatement(FromServer("23503"))), "constraint_violation");
  EXPECT_EQ(ErrorName(RefusedStatement(FromServer("22P02"))), "value_refused");
  EXPECT_EQ(ErrorName(RefusedStatement(FromServer("42P01"))), "table_missing");
}

TEST(RefusedStatementTest, EachComesWithAMend) {
  for (const char* state :
       {"23505", "23P01", "23502", "22001", "42703", "42704", "42501", "42804"}) {
    EXPECT_NE(ErrorRemedy(RefusedStatement(FromServer(state))), "") << state;
  }
}

TEST(RefusedStatementTest, WhatIsNotKnownOrPassesByItselfStaysAsItIs) {
  EXPECT_EQ(RefusedStatement(FromServer("XX000")), FromServer("XX000"));
  const absl::Status passing = absl::AbortedError("deadlock");
  EXPECT_EQ(RefusedStatement(passing), passing);
  EXPECT_TRUE(RefusedStatement(absl::OkStatus()).ok());
}

TEST(RetryReasonTest, IsTheErrorThatIsAwaitedOrOneOfTwoKinds) {
  EXPECT_EQ(RetryReason(DecoderBehind()), "decoder_behind");
  EXPECT_EQ(RetryReason(NamedError(absl::StatusCode::kAborted, "clock_behind", "x")),
            "clock_behind");
  EXPECT_EQ(RetryReason(NamedError(absl::StatusCode::kAborted, "copy_refused", "x")),
            "copy_refused");
  EXPECT_EQ(RetryReason(absl::AbortedError("deadlock")), "conflict");
  EXPECT_EQ(RetryReason(absl::UnavailableError("gone")), "connection");
}

}  // namespace
}  // namespace pgduet
