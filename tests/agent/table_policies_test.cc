#include "agent/table_policies.h"

#include <gtest/gtest.h>

#include "tests/agent/config_samples.h"

namespace pgduet {
namespace {

TEST(TablePoliciesTest, TablesThatKeepVersionsComeWithTheirPolicies) {
  const ParsedConfig parsed = Parsed(SoundWith(
      "public.accounts: {}",
      "public.accounts: {}\n  public.stock: {policy: merge, columns: {quantity: counter}}\n"
      "  '\"My Schema\".\"Tab.le\"': {policy: versions, on_delete: update_wins}"));
  ASSERT_TRUE(parsed.problems.empty());
  const PolicyTables::ByName expected = {
      {{"My Schema", "Tab.le"},
       {.kind = PolicyKind::kVersions, .on_delete = OnDelete::kUpdateWins}},
      {{"public", "stock"},
       {.kind = PolicyKind::kMerge, .columns = {{"quantity", ColumnKind::kCounter}}}}};
  EXPECT_EQ(VersionedTables(parsed.config), expected);
}

TEST(TablePoliciesTest, LastWriteWinsNeedsNothing) {
  EXPECT_TRUE(VersionedTables(Parsed(kSoundConfig).config).empty());
}

}  // namespace
}  // namespace pgduet
