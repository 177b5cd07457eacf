#include "base/named_error.h"

#include <absl/status/statusor.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

absl::Status Sample() {
  absl::Status status = NamedError(absl::StatusCode::kDataLoss, "sequence_gap",
                                   "a number is missing: expected=7", "Look for it.");
  SetSqlState(status, "XX000");
  return status;
}

TEST(NamedErrorTest, CarriesCodeNameTextAndRemedy) {
  EXPECT_TRUE(absl::IsDataLoss(Sample()));
  EXPECT_EQ(ErrorName(Sample()), "sequence_gap");
  EXPECT_EQ(Sample().message(), "a number is missing: expected=7");
  EXPECT_EQ(ErrorRemedy(Sample()), "Look for it.");
  EXPECT_EQ(SqlState(Sample()), "XX000");
}

TEST(NamedErrorTest, AStatusOfAnotherSourceIsInternalAndSuccessIsOk) {
  EXPECT_EQ(ErrorName(absl::UnknownError("x")), "internal");
  EXPECT_EQ(ErrorRemedy(absl::UnknownError("x")), "");
  EXPECT_EQ(SqlState(absl::UnknownError("x")), "");
  EXPECT_EQ(ErrorName(absl::OkStatus()), "ok");
}

TEST(NamedErrorTest, ContextGoesInFrontAndChangesNothingElse) {
  const absl::Status wrapped = WithContext(WithContext(Sample(), "log entry: offset=5"), "apply");
  EXPECT_EQ(wrapped.message(), "apply: log entry: offset=5: a number is missing: expected=7");
  EXPECT_EQ(wrapped.code(), Sample().code());
  EXPECT_EQ(ErrorName(wrapped), "sequence_gap");
  EXPECT_EQ(ErrorRemedy(wrapped), "Look for it.");
  EXPECT_EQ(SqlState(wrapped), "XX000");
  EXPECT_TRUE(WithContext(absl::OkStatus(), "apply").ok());
}

TEST(NamedErrorTest, RenamingKeepsTextAndSqlState) {
  const absl::Status renamed =
      Renamed(Sample(), absl::StatusCode::kAborted, "run_stalled", "Wait.");
  EXPECT_TRUE(absl::IsAborted(renamed));
  EXPECT_EQ(ErrorName(renamed), "run_stalled");
  EXPECT_EQ(ErrorRemedy(renamed), "Wait.");
  EXPECT_EQ(renamed.message(), Sample().message());
  EXPECT_EQ(SqlState(renamed), "XX000");
}

TEST(NamedErrorTest, AnEmptyRemedyInARenamingKeepsTheOldOne) {
  EXPECT_EQ(ErrorRemedy(Renamed(Sample(), absl::StatusCode::kAborted, "run_stalled", "")),
            "Look for it.");
}

absl::StatusOr<int> Half(int number) {
  if (number % 2 != 0) return absl::InvalidArgumentError("odd");
  return number / 2;
}
absl::StatusOr<int> Quarter(int number) {
  PGDUET_ASSIGN_OR_RETURN(const int half, Half(number));
  PGDUET_RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(NamedErrorTest, TheMacrosReturnTheFirstError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).status().message(), "odd");
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

}  // namespace
}  // namespace pgduet
