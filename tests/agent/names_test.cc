#include "agent/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pgduet {
namespace {

Config Group(TransportKind transport) {
  Config config;
  config.group = "shop";
  config.transport = transport;
  config.regions = {
      {.name = "us-east", .rank = 0}, {.name = "eu-west", .rank = 1}, {.name = "ap", .rank = 2}};
  return config;
}

TEST(NamesTest, AreMadeOfGroupAndSet) {
  EXPECT_EQ(SlotName("shop", "main"), "pgduet_shop_main");
  EXPECT_EQ(PublicationName("my-shop", "main"), "pgduet_my_shop_main");
  EXPECT_EQ(PeerSlotName("shop", "main", "eu-west"), "pgduet_shop_main_to_eu_west");
}

TEST(NamesTest, BrokersKnowTheAgentsOfSetsApart) {
  Config config = Group(TransportKind::kKafka);
  EXPECT_EQ(ConsumerGroup(config, "ap"), "pgduet.shop.ap");
  EXPECT_EQ(ClientId(config, "ap"), "pgduet-ap");
  config.set = "orders";
  EXPECT_EQ(ConsumerGroup(config, "ap"), "pgduet.shop.ap.orders");
  EXPECT_EQ(ClientId(config, "ap"), "pgduet-ap-orders");
}

TEST(NamesTest, ASetHasSlotsAndOriginsOfItsOwn) {
  Config config = Group(TransportKind::kDirect);
  config.set = "big-orders";
  EXPECT_THAT(SlotNames(config, "ap"),
              testing::ElementsAre("pgduet_shop_big_orders", "pgduet_shop_big_orders_to_us_east",
                                   "pgduet_shop_big_orders_to_eu_west"));
  EXPECT_THAT(OriginNames(config, "ap"), testing::Contains("pgduet:shop:big-orders:us-east"));
}

TEST(NamesTest, LongNamesFitTheServerAndStayApart) {
  const std::string longest(32, 'g');
  const std::string one = PeerSlotName(longest, "main", std::string(31, 'r') + "1");
  const std::string other = PeerSlotName(longest, "main", std::string(31, 'r') + "2");
  for (const std::string& name : {one, other}) {
    EXPECT_LE(name.size(), 63u);
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string::npos)
        << name;
  }
  EXPECT_NE(one, other);
  EXPECT_EQ(one, PeerSlotName(longest, "main", std::string(31, 'r') + "1"));
}

TEST(NamesTest, ARegionHasAnOriginForEachOtherAndItsOwnWork) {
  EXPECT_THAT(OriginNames(Group(TransportKind::kKafka), "eu-west"),
              testing::ElementsAre("pgduet:shop:main:us-east", "pgduet:shop:main:ap",
                                   "pgduet:shop:main:local", "pgduet:shop:main:housekeeper",
                                   "pgduet:shop:main:policies", "pgduet:shop:main:policy-change"));
}

TEST(NamesTest, WithDirectADatabaseKeepsASlotForEachPeerToo) {
  EXPECT_THAT(SlotNames(Group(TransportKind::kKafka), "ap"),
              testing::ElementsAre("pgduet_shop_main"));
  EXPECT_THAT(SlotNames(Group(TransportKind::kDirect), "ap"),
              testing::ElementsAre("pgduet_shop_main", "pgduet_shop_main_to_us_east",
                                   "pgduet_shop_main_to_eu_west"));
}

}  // namespace
}  // namespace pgduet
