#include "apply/foreign_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apply/orphan_notes.h"
#include "apply/orphan_statements.h"

namespace pgduet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::shared_ptr<const TargetTable> TableOf(Oid oid, const std::string& name,
                                           const std::vector<std::string>& columns,
                                           const std::vector<int>& keys) {
  auto table = std::make_shared<TargetTable>();
  table->oid = oid;
  table->schema = "shop";
  table->name = name;
  table->quoted = "\"shop\".\"" + name + "\"";
  table->row_json = "to_jsonb(t.*)";
  for (const std::string& column : columns) {
    table->columns.push_back(
        {.name = column, .quoted = QuoteName(column), .type = "integer", .type_oid = 23});
    table->source_index.push_back(static_cast<int>(table->source_index.size()));
  }
  table->keys = keys;
  return table;
}

ForeignKey KeyOf(OnOrphan rule) {
  return {.name = "line_order",
          .child = TableOf(1, "line", {"id", "shop", "no"}, {0}),
          .parent = TableOf(2, "order", {"no", "shop", "total"}, {1, 0}),
          .columns = {"shop", "no"},
          .rule = rule};
}

TEST(ForeignKeysTest, AreFoundFromBothSides) {
  std::vector<ForeignKey> some = {KeyOf(OnOrphan::kReport)};
  some.push_back(some.front());
  some.back().child = TableOf(3, "payment", {"id", "shop", "no"}, {0});
  some.back().rule = OnOrphan::kReviveParent;
  const ForeignKeys keys(some);
  EXPECT_EQ(keys.OfParent(2).size(), 2U);
  EXPECT_EQ(keys.OfChild(1).size(), 1U);
  EXPECT_EQ(keys.OfChild(3).size(), 1U);
  EXPECT_THAT(keys.OfChild(2), IsEmpty());
  EXPECT_TRUE(keys.IsParent(2));
  EXPECT_FALSE(keys.IsParent(1));
  EXPECT_TRUE(keys.Revived(2));
}

TEST(ForeignKeysTest, ARowIsKeptOnlyWhenItIsWholeAndMayBeWrittenBack) {
  const std::vector<Value> row = {{ValueKind::kText, "7"}, {ValueKind::kText, "1"}, {}};
  const auto kept = [&](OnOrphan rule, OldRow kind) {
    std::vector<ForeignKey> some;
    some.push_back(KeyOf(rule));
    const ForeignKeys keys(std::move(some));
    GoneParent gone;
    KeepRow(keys, *keys.OfChild(1).front()->parent, row, kind, gone);
    return gone.columns;
  };
  EXPECT_THAT(kept(OnOrphan::kReviveParent, OldRow::kFull), ElementsAre("no", "shop", "total"));
  EXPECT_THAT(kept(OnOrphan::kReviveParent, OldRow::kKey), IsEmpty());
  EXPECT_THAT(kept(OnOrphan::kDeleteChild, OldRow::kFull), IsEmpty());
}

TEST(OrphanStatementsTest, EachColumnMeetsThePartOfTheParentsKeyThatItRefersTo) {
  const ForeignKey key = KeyOf(OnOrphan::kDeleteChild);
  const std::string sql =
      OrphanStatements(key).FindSql(OrphanStatements::For::kDelete, /*whole_table=*/false);
  EXPECT_THAT(sql, HasSubstr("t.\"shop\" = k.k0::integer AND t.\"no\" = k.k1::integer"));
  EXPECT_THAT(sql, HasSubstr("NOT EXISTS (SELECT FROM \"shop\".\"order\" p WHERE p.\"shop\" = "
                             "t.\"shop\" AND p.\"no\" = t.\"no\")"));
  EXPECT_THAT(sql, HasSubstr("FOR UPDATE OF t SKIP LOCKED"));
}

TEST(OrphanStatementsTest, OnlyAReportLeavesOutWhatIsLoggedAndLocksNothing) {
  const ForeignKey key = KeyOf(OnOrphan::kReport);
  const OrphanStatements sql(key);
  EXPECT_THAT(sql.FindSql(OrphanStatements::For::kReport, false), HasSubstr("pgduet.conflict"));
  EXPECT_THAT(sql.FindSql(OrphanStatements::For::kReport, false), Not(HasSubstr("LOCKED")));
  EXPECT_THAT(sql.FindSql(OrphanStatements::For::kLook, false), Not(HasSubstr("pgduet.conflict")));
}

TEST(OrphanStatementsTest, AWholeTableIsAskedForRowsThatReferToSomething) {
  const ForeignKey key = KeyOf(OnOrphan::kReport);
  EXPECT_THAT(OrphanStatements(key).FindSql(OrphanStatements::For::kLook, true),
              HasSubstr("t.\"shop\" IS NOT NULL AND t.\"no\" IS NOT NULL"));
}

}  // namespace
}  // namespace pgduet
