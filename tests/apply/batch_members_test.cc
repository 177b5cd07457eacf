#include "apply/batch_members.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace pgduet {
namespace {

TEST(BatchMembersTest, TheLastWriterOfARowCounts) {
  BatchMembers members;
  members.AddTransaction({Lsn(5), 50});
  members.AddTransaction({Lsn(9), 40});  // commit times may run backwards
  members.Wrote({1, 77}, 1);
  members.Wrote({1, 77}, 0);
  members.Wrote({2, 77}, 1);
  members.Finish();
  EXPECT_EQ(members.WriterOf({1, 77})->commit_lsn, Lsn(5));
  EXPECT_EQ(members.WriterOf({2, 77})->commit_time, 40);
  EXPECT_FALSE(members.WriterOf({1, 78}));
}

TEST(BatchMembersTest, WhatStandsInTheDatabaseIsTheSame) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 50; ++round) {
    BatchMembers members;
    const uint32_t transactions = 1 + random() % 20;
    for (uint32_t one = 0; one < transactions; ++one)
      members.AddTransaction({Lsn(random()), static_cast<CommitTime>(random())});
    std::map<std::pair<uint32_t, uint64_t>, uint32_t> written;
    for (int row = 0; row < 100; ++row) {
      const TableKey key{static_cast<uint32_t>(random() % 3), 1 + random() % 60};
      members.Wrote(key, written[{key.table, key.key_hash}] = random() % transactions);
    }
    members.Finish();
    const auto read = BatchMembers::Decode(members.Encode());
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->bytes(), members.bytes());
    for (const auto& [key, writer] : written) {
      const TableKey place{key.first, key.second};
      EXPECT_EQ(read->WriterOf(place)->commit_lsn, members.WriterOf(place)->commit_lsn);
      EXPECT_EQ(read->WriterOf(place)->commit_time, members.WriterOf(place)->commit_time);
    }
  }
}

TEST(BatchMembersTest, ADamagedListIsAnError) {
  BatchMembers members;
  members.AddTransaction({Lsn(5), 50});
  members.Wrote({1, 77}, 0);
  members.Finish();
  const std::string text = members.Encode();
  EXPECT_TRUE(BatchMembers::Decode(text).ok());
  EXPECT_FALSE(BatchMembers::Decode(text.substr(0, text.size() - 2)).ok());
  EXPECT_FALSE(BatchMembers::Decode(text.substr(2)).ok());
  std::string beyond = text;
  beyond[beyond.size() - 8] = '1';  // of a transaction that is not there
  EXPECT_FALSE(BatchMembers::Decode(beyond).ok());
}

}  // namespace
}  // namespace pgduet
