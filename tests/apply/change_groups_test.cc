#include "apply/change_groups.h"

#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

// Tables of the test: the origin's columns are (id, v, extra); the target has no column "extra".
class Tables : public TableLookup {
 public:
  absl::StatusOr<std::shared_ptr<const TargetTable>> Find(
      const std::shared_ptr<const Relation>& relation) override {
    if (relation->name == "gone")
      return NamedError(absl::StatusCode::kFailedPrecondition, "table_missing", "table is missing");
    auto table = std::make_shared<TargetTable>();
    table->oid = relation->name == "a" ? 1 : 2;
    table->quoted = "\"public\".\"" + relation->name + "\"";
    for (size_t i = 0; i < relation->columns.size(); ++i) {
      if (relation->columns[i].name == "extra") {
        table->missing.push_back(static_cast<int>(i));
        continue;
      }
      table->columns.push_back({.name = relation->columns[i].name});
      table->source_index.push_back(static_cast<int>(i));
    }
    table->keys = {0};
    return table;
  }
};

std::shared_ptr<const Relation> Described(const std::string& name,
                                          std::vector<std::string> columns = {"id", "v"}) {
  Relation relation{.schema = "public", .name = name};
  for (std::string& column : columns) relation.columns.push_back({.name = std::move(column)});
  return std::make_shared<const Relation>(std::move(relation));
}

const Value kUnchangedValue{ValueKind::kUnchanged, {}};
const Value kNullValue;

class ChangeGroupsTest : public testing::Test {
 protected:
  ChangeGroupsTest() { NextTransaction(); }

  void NextTransaction() { units_.emplace_back(); }
  void Insert(const std::vector<Value>& row,
              std::shared_ptr<const Relation> relation = Described("a")) {
    Add(ChangeKind::kInsert, OldRow::kNone, row, {}, std::move(relation));
  }
  void Update(const std::vector<Value>& row) {
    Add(ChangeKind::kUpdate, OldRow::kNone, row, {}, Described("a"));
  }
  void ChangeKey(const std::vector<Value>& old_row, const std::vector<Value>& row) {
    Add(ChangeKind::kUpdate, OldRow::kKey, row, old_row, Described("a"));
  }
  void Delete(const std::vector<Value>& old_row) {
    Add(ChangeKind::kDelete, OldRow::kKey, {}, old_row, Described("a"));
  }
  void Truncate() { Add(ChangeKind::kTruncate, OldRow::kNone, {}, {}, Described("a")); }

  std::vector<Segment> Grouped(Grouping grouping = Grouping::kByKey) {
    auto segments = GroupChanges(units_, tables_, grouping);
    EXPECT_TRUE(segments.ok()) << segments.status();
    return segments.ok() ? *std::move(segments) : std::vector<Segment>();
  }
  std::string ErrorOf() {
    return ErrorName(GroupChanges(units_, tables_, Grouping::kByKey).status());
  }

  // The only group of the only table.
  KeyGroup Single() {
    const std::vector<Segment> segments = Grouped();
    EXPECT_EQ(segments.size(), 1u);
    EXPECT_EQ(segments[0].tables.size(), 1u);
    EXPECT_EQ(segments[0].tables[0].groups.size(), 1u);
    return segments[0].tables[0].groups[0];
  }

 private:
  void Add(ChangeKind kind, OldRow old_kind, const std::vector<Value>& row,
           const std::vector<Value>& old_row, std::shared_ptr<const Relation> relation) {
    ChangeBatch& batch = units_.back().batch;
    batch.relations.push_back(std::move(relation));
    AddChange(batch, kind, old_kind, row, old_row,
              static_cast<uint32_t>(batch.relations.size() - 1));
  }
  std::vector<ApplyUnit> units_;
  Tables tables_;
};

TEST_F(ChangeGroupsTest, ChangesOfOneKeyCollapseToTheirNetEffect) {
  Insert({Text("1"), Text("a")});
  Update({Text("1"), Text("b")});
  NextTransaction();
  Update({Text("1"), Text("c")});
  const KeyGroup group = Single();
  EXPECT_EQ(group.net(), NetEffect::kInsert);
  EXPECT_EQ(group.steps.size(), 3u);
  EXPECT_EQ(group.steps[2].unit, 1u);
  EXPECT_EQ(group.FinalValue(1).bytes, "c");
}

TEST_F(ChangeGroupsTest, NetEffectsFollowWhetherTheKeyExistedAndExists) {
  Update({Text("1"), Text("a")});
  EXPECT_EQ(Single().net(), NetEffect::kUpdate);
  Delete({Text("1"), kNullValue});
  EXPECT_EQ(Single().net(), NetEffect::kDelete);
  Insert({Text("1"), Text("b")});
  EXPECT_EQ(Single().net(), NetEffect::kUpdate);
}

TEST_F(ChangeGroupsTest, WhatIsInsertedAndDeletedAgainIsTransient) {
  Insert({Text("1"), Text("a")});
  Delete({Text("1"), kNullValue});
  EXPECT_EQ(Single().net(), NetEffect::kTransient);
}

TEST_F(ChangeGroupsTest, AnUnchangedValueIsThatOfAnEarlierStep) {
  Update({Text("1"), Text("large")});
  Update({Text("1"), kUnchangedValue});
  EXPECT_EQ(Single().FinalValue(1).bytes, "large");
  EXPECT_EQ(Single().FinalValue(1, /*first_step=*/1).kind, ValueKind::kUnchanged);
}

TEST_F(ChangeGroupsTest, AnUnchangedValueIsNotTakenFromBeforeADelete) {
  Update({Text("1"), Text("old")});
  Delete({Text("1"), kNullValue});
  Update({Text("1"), kUnchangedValue});
  EXPECT_EQ(Single().FinalValue(1).kind, ValueKind::kUnchanged);
}

TEST_F(ChangeGroupsTest, AChangeOfTheKeyIsADeleteAndAnInsert) {
  ChangeKey({Text("1"), kNullValue}, {Text("2"), Text("a")});
  const std::vector<Segment> segments = Grouped();
  ASSERT_EQ(segments[0].tables[0].groups.size(), 2u);
  EXPECT_EQ(segments[0].tables[0].groups[0].net(), NetEffect::kDelete);
  EXPECT_EQ(segments[0].tables[0].groups[0].key_text, "{\"1\"}");
  EXPECT_EQ(segments[0].tables[0].groups[1].net(), NetEffect::kInsert);
  EXPECT_EQ(segments[0].tables[0].groups[1].key_text, "{\"2\"}");
}

TEST_F(ChangeGroupsTest, AnOldRowWithTheSameKeyIsAnUpdate) {
  ChangeKey({Text("1"), Text("old")}, {Text("1"), Text("new")});
  EXPECT_EQ(Single().net(), NetEffect::kUpdate);
}

TEST_F(ChangeGroupsTest, ATruncateEndsASegment) {
  Insert({Text("1"), Text("a")});
  Truncate();
  Insert({Text("1"), Text("b")});
  const std::vector<Segment> segments = Grouped();
  ASSERT_EQ(segments.size(), 2u);
  ASSERT_TRUE(segments[0].truncation.has_value());
  EXPECT_EQ(segments[0].truncation->table->quoted, "\"public\".\"a\"");
  EXPECT_FALSE(segments[1].truncation.has_value());
  EXPECT_EQ(segments[1].tables[0].groups[0].net(), NetEffect::kInsert);
}

TEST_F(ChangeGroupsTest, TablesHaveGroupsOfTheirOwn) {
  Insert({Text("1"), Text("a")});
  Insert({Text("1"), Text("b")}, Described("b"));
  Insert({Text("2"), Text("c")});
  const std::vector<Segment> segments = Grouped();
  ASSERT_EQ(segments.size(), 1u);
  ASSERT_EQ(segments[0].tables.size(), 2u);
  EXPECT_EQ(segments[0].tables[0].groups.size(), 2u);
  EXPECT_EQ(segments[0].tables[1].groups.size(), 1u);
}

TEST_F(ChangeGroupsTest, AnotherShapeOfATableBeginsANewSegment) {
  Insert({Text("1"), Text("a")});
  Insert({Text("1"), Text("a"), Text("w")}, Described("a", {"id", "v", "w"}));
  EXPECT_EQ(Grouped().size(), 2u);
}

TEST_F(ChangeGroupsTest, OneByOneKeepsEachChangeInItsPlace) {
  Insert({Text("1"), Text("a")});
  Update({Text("1"), Text("b")});
  Delete({Text("1"), kNullValue});
  const std::vector<Segment> segments = Grouped(Grouping::kOneByOne);
  std::vector<ChangeKind> kinds;
  for (const Segment& segment : segments) {
    ASSERT_EQ(segment.tables.size(), 1u);
    ASSERT_EQ(segment.tables[0].groups.size(), 1u);
    kinds.push_back(segment.tables[0].groups[0].steps[0].kind);
  }
  EXPECT_THAT(kinds,
              testing::ElementsAre(ChangeKind::kInsert, ChangeKind::kUpdate, ChangeKind::kDelete));
}

TEST_F(ChangeGroupsTest, AValueWithoutAColumnStopsTheStreamANullDoesNot) {
  const auto wide = Described("a", {"id", "v", "extra"});
  Insert({Text("1"), Text("a"), kNullValue}, wide);
  EXPECT_EQ(Grouped().size(), 1u);
  Insert({Text("2"), Text("a"), Text("lost")}, wide);
  EXPECT_EQ(ErrorOf(), "column_missing");
}

TEST_F(ChangeGroupsTest, AKeyMustBeWhole) {
  Insert({kNullValue, Text("a")});
  EXPECT_EQ(ErrorOf(), "invalid_record");
}

TEST_F(ChangeGroupsTest, ADeleteOfAnUnknownKeyIsRefusedToo) {
  Delete({kUnchangedValue, kNullValue});
  EXPECT_EQ(ErrorOf(), "invalid_record");
}

TEST_F(ChangeGroupsTest, ATableThatIsMissingIsNamed) {
  Insert({Text("1"), Text("a")}, Described("gone"));
  EXPECT_EQ(ErrorOf(), "table_missing");
}

}  // namespace
}  // namespace pgduet
