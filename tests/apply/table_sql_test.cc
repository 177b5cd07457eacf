// The statements as text: what they name, quote, cast and number. That the server takes them is for
// the integration tests.
#include "apply/table_sql.h"

#include <regex>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

TargetTable Sample() {
  TargetTable table;
  table.quoted = "\"My Schema\".\"t\"\"x\"";
  table.columns = {
      {.name = "id",
       .quoted = "\"id\"",
       .type = "integer",
       .type_oid = 23,
       .array_oid = 1007,
       .key_index = 0},
      {.name = "Tags", .quoted = "\"Tags\"", .type = "text[]", .type_oid = 1009, .is_array = true},
      {.name = "n",
       .quoted = "\"n\"",
       .type = "bigint",
       .type_oid = 20,
       .array_oid = 1016,
       .identity_always = true},
      {.name = "k2",
       .quoted = "\"k2\"",
       .type = "text",
       .type_oid = 25,
       .array_oid = 1009,
       .key_index = 1}};
  table.source_index = {0, 1, 2, 3};
  table.keys = {0, 3};
  return table;
}

// The numbers of the parameters that a statement uses.
std::set<int> Parameters(const std::string& sql) {
  static const std::regex kParameter(R"(\$(\d+))");
  std::set<int> numbers;
  for (auto at = std::sregex_iterator(sql.begin(), sql.end(), kParameter);
       at != std::sregex_iterator(); ++at) {
    numbers.insert(std::stoi((*at)[1].str()));
  }
  return numbers;
}

TEST(TableSqlTest, AnInsertNamesQuotedColumnsAndCastsArrays) {
  EXPECT_EQ(
      InsertSetSql(Sample(), {0, 1, 3}),
      R"(INSERT INTO "My Schema"."t""x" ("id", "Tags", "k2") OVERRIDING SYSTEM VALUE SELECT s.c0, s.c1::text[], s.c2 )"
      R"(FROM unnest($1, $2, $3) AS s(c0, c1, c2) ON CONFLICT ("id", "k2") DO NOTHING)");
  EXPECT_EQ(
      InsertRowSql(Sample(), {0, 3}),
      R"(INSERT INTO "My Schema"."t""x" ("id", "k2") OVERRIDING SYSTEM VALUE VALUES ($1, $2) ON CONFLICT ("id", "k2") DO NOTHING)");
}

TEST(TableSqlTest, ArraysOfArraysTravelAsText) {
  EXPECT_THAT(ArrayTypes(Sample(), {0, 1, 3}), testing::ElementsAre(1007u, 1009u, 1009u));
  EXPECT_THAT(ScalarTypes(Sample(), {0, 1, 3}), testing::ElementsAre(23u, 1009u, 25u));
}

// GENERATED ALWAYS AS IDENTITY cannot be set: a row that differs there is not touched, and the row
// path replaces it.
TEST(TableSqlTest, AnUpdateSetsWhatItCarriesAndLeavesRowsOfAnotherAlwaysIdentity) {
  const std::string sql = UpdateSetSql(Sample(), {0, 2, 3, 1}, {});
  EXPECT_THAT(
      sql,
      testing::HasSubstr(
          R"(SET "id" = s.c0, "k2" = s.c2, "Tags" = s.c3::text[] FROM unnest($1, $2, $3, $4))"));
  EXPECT_THAT(sql,
              testing::HasSubstr(R"(WHERE t."id" = s.c0 AND t."k2" = s.c2 AND t."n" = s.c1 AND )"));
  EXPECT_EQ(
      UpdateRowSql(Sample(), {0, 2, 1}),
      R"(UPDATE "My Schema"."t""x" t SET "id" = $1, "Tags" = $3 WHERE t."id" = $4 AND t."k2" = $5)");
}

TEST(TableSqlTest, DeletesTouchByKeyAlone) {
  EXPECT_EQ(DeleteRowSql(Sample()),
            R"(DELETE FROM "My Schema"."t""x" t WHERE t."id" = $1 AND t."k2" = $2)");
  EXPECT_THAT(
      DeleteSetSql(Sample(), {}),
      testing::AllOf(testing::HasSubstr("unnest($1, $2) WITH ORDINALITY AS s(c0, c1, place)"),
                     testing::EndsWith("RETURNING s.place")));
}

TEST(TableSqlTest, EveryParameterOfASetStatementIsUsedAndTyped) {
  for (const int others : {0, 1, 3}) {
    const CoverageSql coverage{.other_origins = others};
    EXPECT_EQ(coverage.ParameterTypes().size(), static_cast<size_t>(coverage.ParameterCount()));
    const std::set<int> used = Parameters(UpdateSetSql(Sample(), AllColumns(Sample()), coverage));
    EXPECT_EQ(used.size(), 4u + coverage.ParameterCount()) << others;
    EXPECT_EQ(*used.rbegin(), 4 + coverage.ParameterCount());
    EXPECT_EQ(*Parameters(DeleteSetSql(Sample(), coverage)).rbegin(),
              2 + coverage.ParameterCount());
  }
}

// With two regions every row below the horizon is covered; with more, rows of a third region have
// horizons of their own.
TEST(TableSqlTest, TheShortcutByAgeIsForTwoRegionsOnly) {
  EXPECT_THAT(CoverageSql{}.Condition(5), testing::StartsWith("(age(t.xmin) > age($6) OR "));
  EXPECT_THAT(CoverageSql{.other_origins = 1}.Condition(5),
              testing::AllOf(testing::StartsWith("(false OR "),
                             testing::HasSubstr("WHEN $7 THEN age(t.xmin) > age($8)")));
}

TEST(TableSqlTest, TheRowsJsonNamesItsColumns) {
  EXPECT_EQ(JsonOfParameters(Sample(), {0, 1}, 3),
            R"((SELECT to_jsonb(r.*) FROM (SELECT $3 AS "id", $4 AS "Tags") r))");
}

TEST(TableSqlTest, FieldsOfASourceAreTypedAndNamedAsThoseOfParameters) {
  TargetTable table = Sample();
  table.columns[3].json = true;
  EXPECT_EQ(JsonFieldsOfSource(table, {0, 1, 3}, 7),
            R"(s.c7 AS "id", s.c8::text[] AS "Tags", s.c9::text AS "k2")");
}

TEST(TableSqlTest, ManyRowsAreReadAndUpdatedByTheirPlaces) {
  EXPECT_THAT(
      ReadRowsSql(Sample()),
      testing::AllOf(testing::StartsWith("SELECT s.place, t.xmin"),
                     testing::HasSubstr("unnest($1, $2) WITH ORDINALITY AS s(c0, c1, place)"),
                     testing::EndsWith(R"(ON t."id" = s.c0 AND t."k2" = s.c1 FOR UPDATE OF t)")));
  EXPECT_EQ(
      UpdateRowsSql(Sample(), {0, 1, 3}),
      R"(UPDATE "My Schema"."t""x" t SET "id" = s.c0, "Tags" = s.c1::text[], "k2" = s.c2 FROM )"
      R"(unnest($1, $2, $3) WITH ORDINALITY AS s(c0, c1, c2, place) )"
      R"(WHERE t."id" = s.c0 AND t."k2" = s.c2 RETURNING s.place)");
}

TEST(TableSqlTest, ReadingARowLocksIt) {
  EXPECT_THAT(ReadRowSql(Sample()),
              testing::AllOf(testing::HasSubstr(R"(WHERE t."id" = $1 AND t."k2" = $2)"),
                             testing::EndsWith("FOR UPDATE")));
}

}  // namespace
}  // namespace pgduet
