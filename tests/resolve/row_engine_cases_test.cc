// What the oracle found, as small as it gets: each of these ended differently by order, or lost
// something, in an earlier engine.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "resolve/row_engine.h"

namespace pgduet {
namespace {

constexpr Incarnation kIncarnation = 7;

AppliedVector Seen(std::initializer_list<std::pair<Rank, uint64_t>> entries) {
  AppliedVector vector;
  for (const auto& [rank, lsn] : entries)
    vector.Set(rank, {.incarnation = kIncarnation, .sequence = lsn, .commit_lsn = Lsn(lsn)});
  return vector;
}

Cell Of(const char* text) {
  if (text == nullptr) return Cell::Null();
  return std::string(text) == "-" ? Cell() : Cell::Text(text);
}
RowImage Row(std::initializer_list<const char*> texts) {
  RowImage row;
  for (const char* text : texts) row.push_back(Of(text));
  return row;
}

// A write of region `rank`, its first or `lsn`th; `vector` holds itself.
struct One {
  Rank rank;
  uint64_t lsn;
  CommitTime time;
  ChangeKind kind;
  AppliedVector vector;
  RowImage old_row, new_row;
};

struct Site {
  RowState state;
  std::optional<RowImage> visible;
  Outcome last;
};
Site Take(const RowEngine& engine, const std::vector<const One*>& order) {
  Site site;
  for (const One* one : order) {
    site.last = engine.Take({.dot = {one->rank, kIncarnation, Lsn(one->lsn), one->time},
                             .kind = one->kind,
                             .vector = &one->vector,
                             .old_row = one->old_row,
                             .new_row = one->new_row},
                            {}, site.state, site.visible);
  }
  return site;
}

RowEngine EngineOf(PolicyKind kind, OnDelete on_delete, std::vector<ShapeColumn> columns) {
  RowShape shape;
  shape.policy.kind = kind;
  shape.policy.on_delete = on_delete;
  shape.columns = std::move(columns);
  return RowEngine(std::move(shape));
}

constexpr auto kInsert = ChangeKind::kInsert;
constexpr auto kUpdate = ChangeKind::kUpdate;
constexpr auto kDelete = ChangeKind::kDelete;

TEST(RowEngineCasesTest, WhatAWriteDidNotTouchIsWhatItHadFound) {
  const RowEngine engine =
      EngineOf(PolicyKind::kVersions, OnDelete::kNewestWins, {{.name = "a"}, {.name = "large"}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"a", "old"})};
  const One other{1, 1, 2, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"a", "old"}), Row({"a", "new"})};
  const One small{2, 1, 3, kUpdate, Seen({{0, 1}, {2, 1}}), Row({"a", "old"}), Row({"b", "-"})};
  for (const auto& order : {std::vector{&base, &other, &small}, std::vector{&base, &small, &other}})
    EXPECT_EQ(Take(engine, order).visible, Row({"b", "old"}));
}

// The counter had 10; one region deletes the row, another one adds 5 without having seen that, a
// third adds 2 and has seen neither. An insert of 3 meets no row, but 5 are left, and come back.
TEST(RowEngineCasesTest, WhatADeleteHadNotSeenOfACounterComesBackWithAnInsert) {
  const RowEngine engine = EngineOf(PolicyKind::kMerge, OnDelete::kDeleteWins,
                                    {{.name = "n", .kind = ColumnKind::kCounter}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"10"})};
  const One gone{0, 2, 2, kDelete, Seen({{0, 2}}), Row({"10"}), {}};
  const One five{1, 1, 3, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"10"}), Row({"15"})};
  const One two{2, 1, 4, kUpdate, Seen({{0, 1}, {2, 1}}), Row({"10"}), Row({"12"})};
  const One anew{0, 3, 5, kInsert, Seen({{0, 3}, {1, 1}}), {}, Row({"3"})};
  EXPECT_EQ(Take(engine, {&base, &gone, &five, &anew}).visible, Row({"8"}));
  EXPECT_EQ(Take(engine, {&base, &gone, &five, &anew, &two}).visible, Row({"10"}));
  EXPECT_EQ(Take(engine, {&base, &gone, &five, &two, &anew}).visible, Row({"10"}));
}

TEST(RowEngineCasesTest, AnInsertOverwritesTheElementsAndKeysThatItHadSeen) {
  const RowEngine engine = EngineOf(
      PolicyKind::kMerge, OnDelete::kDeleteWins,
      {{.name = "s", .kind = ColumnKind::kAddWinsSet}, {.name = "m", .kind = ColumnKind::kMap}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"{}", "{}"})};
  const One gone{0, 2, 2, kDelete, Seen({{0, 2}}), Row({"{}", "{}"}), {}};
  const One seen{
      1, 1, 3, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"{}", "{}"}), Row({"{x}", "{\"x\": 1}"})};
  const One unseen{
      2, 1, 4, kUpdate, Seen({{0, 1}, {2, 1}}), Row({"{}", "{}"}), Row({"{z}", "{\"z\": 1}"})};
  const One anew{0,
                 3,
                 5,
                 kInsert,
                 Seen({{0, 3}, {1, 1}}),
                 Row({"{x}", "{\"x\": 1}"}),
                 Row({"{y}", "{\"y\": 1}"})};
  const RowImage wanted = Row({"{y,z}", "{\"y\": 1, \"z\": 1}"});
  EXPECT_EQ(Take(engine, {&base, &gone, &seen, &anew, &unseen}).visible, wanted);
  EXPECT_EQ(Take(engine, {&base, &gone, &seen, &unseen, &anew}).visible, wanted);
}

// 15 and 15 beyond a bound of 20: the sum of 30 is in the shadow. Who then writes 19 over the 20
// has taken 1 away from the sum, and the bound stays.
TEST(RowEngineCasesTest, AWriteOverABoundIsADifferenceLikeOthers) {
  const RowEngine engine =
      EngineOf(PolicyKind::kMerge, OnDelete::kNewestWins,
               {{.name = "n", .kind = ColumnKind::kCounter, .low = "0", .high = "20"}});
  const One one{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"15"})};
  const One other{1, 1, 2, kInsert, Seen({{1, 1}}), {}, Row({"15"})};
  const Site both = Take(engine, {&one, &other});
  ASSERT_EQ(both.visible, Row({"20"}));
  EXPECT_TRUE(both.last.overflow);
  const One less{0, 2, 3, kUpdate, Seen({{0, 2}, {1, 1}}), Row({"20"}), Row({"19"})};
  const One third{2, 1, 4, kInsert, Seen({{2, 1}}), {}, Row({"-10"})};
  EXPECT_EQ(Take(engine, {&one, &other, &less}).visible, Row({"20"}));
  EXPECT_EQ(Take(engine, {&one, &other, &less, &third}).visible, Row({"19"}));
  EXPECT_EQ(Take(engine, {&one, &other, &third, &less}).visible, Row({"19"}));
}

TEST(RowEngineCasesTest, NotANumberCountsAsZero) {
  const RowEngine engine = EngineOf(PolicyKind::kMerge, OnDelete::kNewestWins,
                                    {{.name = "n", .kind = ColumnKind::kCounter}});
  const One odd{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"NaN"})};
  const One seven{0, 2, 2, kUpdate, Seen({{0, 2}}), Row({"NaN"}), Row({"7"})};
  const One one{1, 1, 3, kInsert, Seen({{1, 1}}), {}, Row({"1"})};
  EXPECT_EQ(Take(engine, {&odd, &seven, &one}).visible, Row({"8"}));
  EXPECT_EQ(Take(engine, {&odd, &one, &seven}).visible, Row({"8"}));
}

// The update covers what stood; what is left beside it is an older delete, which is the first
// write.
TEST(RowEngineCasesTest, ARowThatGivesWayToADeleteIsNotSaidToStay) {
  const RowEngine engine =
      EngineOf(PolicyKind::kFirstWriteWins, OnDelete::kNewestWins, {{.name = "a"}});
  const One first{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"a"})};
  const One gone{1, 1, 2, kDelete, Seen({{1, 1}}), Row({"z"}), {}};
  const One later{2, 1, 3, kUpdate, Seen({{0, 1}, {2, 1}}), Row({"a"}), Row({"b"})};
  const Site site = Take(engine, {&first, &gone, &later});
  EXPECT_EQ(site.visible, std::nullopt);
  EXPECT_EQ(site.last.shown, Shown::kMerged);
}

// The sum is kept exactly beside the row, and rounded when it is shown: no order of writes loses
// the small numbers beside the large one.
TEST(RowEngineCasesTest, AFloatCounterForgetsNothingThatItCannotShow) {
  const RowEngine engine =
      EngineOf(PolicyKind::kMerge, OnDelete::kNewestWins,
               {{.name = "n", .kind = ColumnKind::kCounter, .float_bits = 64}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"0.1"})};
  const One large{1, 1, 2, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"0.1"}), Row({"1e+18"})};
  const One small{2, 1, 3, kUpdate, Seen({{0, 1}, {2, 1}}), Row({"0.1"}), Row({"0.3"})};
  for (const auto& order : {std::vector{&base, &large, &small}, std::vector{&base, &small, &large}})
    EXPECT_EQ(Take(engine, order).visible, Row({"1e+18"}));
  // All seen: what is taken away is what was shown.
  const One away{1, 2, 4, kUpdate, Seen({{0, 1}, {1, 2}, {2, 1}}), Row({"1e+18"}), Row({"0"})};
  for (const auto& order :
       {std::vector{&base, &large, &small, &away}, std::vector{&base, &small, &large, &away}})
    EXPECT_EQ(Take(engine, order).visible, Row({"0.2"}));
}

TEST(RowEngineCasesTest, AFloatCounterBeyondItsTypeShowsTheBound) {
  const RowEngine engine = EngineOf(PolicyKind::kMerge, OnDelete::kNewestWins,
                                    {{.name = "n",
                                      .kind = ColumnKind::kCounter,
                                      .low = "-3.4028235e+38",
                                      .high = "3.4028235e+38",
                                      .float_bits = 32}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"0"})};
  const One high{0, 2, 2, kUpdate, Seen({{0, 2}}), Row({"0"}), Row({"3e+38"})};
  const One higher{1, 1, 3, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"0"}), Row({"3e+38"})};
  const Site site = Take(engine, {&base, &high, &higher});
  EXPECT_EQ(site.visible, Row({"3.4028235e+38"}));
  EXPECT_TRUE(site.last.overflow);
}

// What only the counter of a deleted row knows has to stay until an insert has overwritten it.
TEST(RowEngineCasesTest, ADeletedRowWhoseCounterHoldsSomethingIsNotSettled) {
  const RowEngine engine = EngineOf(PolicyKind::kMerge, OnDelete::kDeleteWins,
                                    {{.name = "n", .kind = ColumnKind::kCounter}});
  const One base{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"10"})};
  const One gone{0, 2, 2, kDelete, Seen({{0, 2}}), Row({"10"}), {}};
  const One five{1, 1, 3, kUpdate, Seen({{0, 1}, {1, 1}}), Row({"10"}), Row({"15"})};
  EXPECT_TRUE(engine.Settled(Take(engine, {&base, &gone}).state, false));
  EXPECT_FALSE(engine.Settled(Take(engine, {&base, &gone, &five}).state, false));
}

TEST(RowEngineCasesTest, SiblingsOfVersionsAreNotSettled) {
  const RowEngine engine = EngineOf(PolicyKind::kVersions, OnDelete::kNewestWins, {{.name = "a"}});
  const One one{0, 1, 1, kInsert, Seen({{0, 1}}), {}, Row({"a"})};
  const One other{1, 1, 2, kInsert, Seen({{1, 1}}), {}, Row({"b"})};
  EXPECT_TRUE(engine.Settled(Take(engine, {&one}).state, true));
  EXPECT_FALSE(engine.Settled(Take(engine, {&one, &other}).state, true));
}

}  // namespace
}  // namespace pgduet
