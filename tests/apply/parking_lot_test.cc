#include "apply/parking_lot.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Oid kTable = 7, kOther = 8;
constexpr absl::Duration kNow = absl::ZeroDuration();

TEST(ParkingLotTest, WithoutTablesNothingParks) {
  const ParkingLot lot;
  EXPECT_FALSE(lot.Parks(R"("public"."city")"));
  EXPECT_FALSE(lot.Crowded(kTable));
}

TEST(ParkingLotTest, AQuietTableIsSharedAndACrowdedOneIsHeldAlone) {
  ParkingLot lot({R"("public"."city")"});
  EXPECT_TRUE(lot.Parks(R"("public"."city")"));
  ParkingLot::Hold one(lot), other(lot);
  ASSERT_TRUE(one.Enter(kTable, kNow).ok());
  ASSERT_TRUE(other.Enter(kTable, kNow).ok());
  EXPECT_FALSE(one.Alone(kTable));
  // The first collision: who shares now goes on sharing; who comes next waits for them.
  lot.MarkCrowded(kTable);
  ParkingLot::Hold next(lot);
  EXPECT_EQ(ErrorName(next.Enter(kTable, kNow)), "tables_in_use");
  one.Release();
  EXPECT_EQ(ErrorName(next.Enter(kTable, kNow)), "tables_in_use");
  other.Release();
  ASSERT_TRUE(next.Enter(kTable, kNow).ok());
  EXPECT_TRUE(next.Alone(kTable));
  EXPECT_EQ(ErrorName(one.Enter(kTable, kNow)), "tables_in_use");
  EXPECT_TRUE(one.Enter(kOther, kNow).ok());
  lot.Emptied(kTable);
  next.Release();
  ASSERT_TRUE(one.Enter(kTable, kNow).ok());
  EXPECT_FALSE(one.Alone(kTable));
}

TEST(ParkingLotTest, WhoWaitsIsToldOfTheRelease) {
  ParkingLot lot({"t"});
  lot.MarkCrowded(kTable);
  ParkingLot::Hold first(lot);
  ASSERT_TRUE(first.Enter(kTable, kNow).ok());
  std::thread second([&] {
    ParkingLot::Hold hold(lot);
    EXPECT_TRUE(hold.Enter(kTable, absl::Seconds(60)).ok());
    EXPECT_TRUE(hold.Alone(kTable));
  });
  first.Release();
  second.join();
}

TEST(ParkingLotTest, EachLookerHearsOfEachChangeOfACrowdedTableOnce) {
  ParkingLot lot({"t"});
  lot.Changed(kTable);
  EXPECT_THAT(lot.TakeChanged(0), IsEmpty());
  lot.MarkCrowded(kTable);
  EXPECT_THAT(lot.TakeChanged(0), ElementsAre(kTable));
  EXPECT_THAT(lot.TakeChanged(0), IsEmpty());
  EXPECT_THAT(lot.TakeChanged(1), ElementsAre(kTable));
  lot.Changed(kTable);
  EXPECT_THAT(lot.TakeChanged(0), ElementsAre(kTable));
  EXPECT_THAT(lot.CrowdedTables(), ElementsAre(kTable));
  lot.Emptied(kTable);
  EXPECT_THAT(lot.CrowdedTables(), IsEmpty());
}

}  // namespace
}  // namespace pgduet
