// Which statement undoes what, and which columns it writes. That the server takes it is for the
// integration tests.
#include "agent/commands/conflicts_undo_statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TargetTable Sample() {
  TargetTable table;
  table.quoted = "\"public\".\"t\"\"x\"";
  table.columns = {{.name = "id",
                    .quoted = "\"id\"",
                    .type = "integer",
                    .identity_always = true,
                    .key_index = 0},
                   {.name = "Name", .quoted = "\"Name\"", .type = "text"},
                   {.name = "doc", .quoted = "\"doc\"", .type = "json", .json = true},
                   {.name = "n", .quoted = "\"n\"", .type = "bigint", .identity_always = true}};
  table.keys = {0};
  return table;
}

UndoStatement Build(bool lost_delete, bool row_exists, const std::set<std::string>& logged,
                    const std::set<std::string>& generated = {}) {
  return BuildUndo(Sample(),
                   {.lost_delete = lost_delete,
                    .row_exists = row_exists,
                    .logged = &logged,
                    .generated = &generated},
                   "local_row");
}

TEST(BuildUndoTest, ARowThatIsThereIsUpdatedButForItsKeyAndIdentity) {
  const UndoStatement undo = Build(false, true, {"id", "Name", "doc", "n"});
  EXPECT_EQ(undo.action, UndoAction::kUpdate);
  EXPECT_THAT(undo.written, ElementsAre("Name", "doc"));
  ASSERT_EQ(undo.left.size(), 1u);
  EXPECT_EQ(undo.left[0].name, "n");
  EXPECT_EQ(
      undo.sql,
      "UPDATE \"public\".\"t\"\"x\" t SET \"Name\" = v.\"Name\", \"doc\" = v.\"doc\"::json FROM "
      "pgduet.conflict c CROSS JOIN LATERAL pg_catalog.jsonb_to_record(c.local_row) AS "
      "v(\"Name\" text, \"doc\" text) CROSS JOIN LATERAL "
      "pg_catalog.jsonb_to_record(c.key) AS k(\"id\" integer) WHERE c.id = $1::bigint AND "
      "t.\"id\" = k.\"id\"");
}

TEST(BuildUndoTest, ColumnsThatTheLogLacksKeepTheirValue) {
  const UndoStatement undo = Build(false, true, {"id", "Name"});
  EXPECT_EQ(undo.action, UndoAction::kUpdate);
  EXPECT_THAT(undo.written, ElementsAre("Name"));
  EXPECT_THAT(undo.lacking, IsEmpty());
  EXPECT_THAT(undo.sql, Not(HasSubstr("doc")));
}

TEST(BuildUndoTest, ARowThatIsGoneIsInsertedWithKeyAndIdentity) {
  const UndoStatement undo = Build(false, false, {"id", "Name", "doc", "n"});
  EXPECT_EQ(undo.action, UndoAction::kInsert);
  EXPECT_THAT(undo.written, ElementsAre("id", "Name", "doc", "n"));
  EXPECT_THAT(undo.left, IsEmpty());
  EXPECT_THAT(undo.sql,
              HasSubstr("(\"id\", \"Name\", \"doc\", \"n\") OVERRIDING SYSTEM VALUE SELECT"));
}

TEST(BuildUndoTest, ARowThatLacksColumnsIsNotInserted) {
  const UndoStatement undo = Build(false, false, {"id", "Name", "n"});
  EXPECT_EQ(undo.action, UndoAction::kNothing);
  EXPECT_THAT(undo.lacking, ElementsAre("doc"));
  EXPECT_EQ(undo.sql, "");
}

TEST(BuildUndoTest, ColumnsThatTheTableLacksAreNamedAndGeneratedOnesAreNot) {
  const UndoStatement undo = Build(false, true, {"id", "Name", "former", "sum"}, {"sum"});
  ASSERT_EQ(undo.left.size(), 1u);
  EXPECT_EQ(undo.left[0].name, "former");
}

TEST(BuildUndoTest, ADeleteThatLostDeletesTheRowIfThereIsOne) {
  const UndoStatement undo = Build(true, true, {"id"});
  EXPECT_EQ(undo.action, UndoAction::kDelete);
  EXPECT_THAT(undo.sql, HasSubstr("DELETE FROM \"public\".\"t\"\"x\" t USING"));
  EXPECT_EQ(Build(true, false, {"id"}).action, UndoAction::kNothing);
}

TEST(BuildUndoTest, ARowOfItsKeyAloneIsLikeThatAlready) {
  EXPECT_EQ(Build(false, true, {"id"}).action, UndoAction::kNothing);
}

}  // namespace
}  // namespace pgduet
