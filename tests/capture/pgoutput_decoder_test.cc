#include "capture/pgoutput_decoder.h"

#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/capture/pgoutput_bytes.h"

namespace pgduet {
namespace {

using namespace testing_bytes;  // NOLINT: the test's own vocabulary

template <typename T>
T Decoded(const std::string& bytes) {
  absl::StatusOr<PgoutputMessage> message = DecodePgoutput(bytes);
  EXPECT_TRUE(message.ok()) << message.status();
  return std::get<T>(*message);
}

TEST(PgoutputDecoderTest, BeginNamesTheCommitBeforeTheChangesCome) {
  const auto begin = Decoded<PgoutputBegin>(Begin(0x16B374D848, 5, 77));
  EXPECT_EQ(begin.final_lsn, Lsn(0x16B374D848));
  EXPECT_EQ(begin.commit_time, kPostgresEpochMicros + 5);
  EXPECT_EQ(begin.xid, 77U);
}

TEST(PgoutputDecoderTest, CommitCarriesBothItsEnds) {
  const auto commit = Decoded<PgoutputCommit>(Commit(10, 20, 0));
  EXPECT_EQ(commit.commit_lsn, Lsn(10));
  EXPECT_EQ(commit.end_lsn, Lsn(20));
}

TEST(PgoutputDecoderTest, RelationDescribesColumnsAndIdentity) {
  const std::string bytes = RelationMessage(42, "accounts", 'f');
  const auto relation = Decoded<PgoutputRelation>(bytes);
  EXPECT_EQ(relation.oid, 42U);
  EXPECT_EQ(relation.schema, "public");
  EXPECT_EQ(relation.name, "accounts");
  EXPECT_EQ(relation.replica_identity, 'f');
  ASSERT_EQ(relation.columns.size(), 2U);
  EXPECT_TRUE(relation.columns[0].identity);
  EXPECT_EQ(relation.columns[1].name, "v");
  EXPECT_EQ(relation.columns[1].type_oid, 25U);
}

TEST(PgoutputDecoderTest, ValuesAreNullTextOrUnchanged) {
  const std::string bytes = Insert(42, {"1", std::nullopt, "\x01", ""});
  const auto insert = Decoded<PgoutputInsert>(bytes);
  EXPECT_THAT(insert.new_row,
              testing::ElementsAre(Value{ValueKind::kText, "1"}, Value{ValueKind::kNull, {}},
                                   Value{ValueKind::kUnchanged, {}}, Value{ValueKind::kText, ""}));
}

TEST(PgoutputDecoderTest, UpdateMayComeWithTheOldKeyOrTheOldRow) {
  const std::string plain = Bytes('U').Number<uint32_t>(42).Letter('N').Tuple({"1", "x"}).str();
  EXPECT_EQ(Decoded<PgoutputUpdate>(plain).old_kind, OldRow::kNone);
  const std::string key = Bytes('U')
                              .Number<uint32_t>(42)
                              .Letter('K')
                              .Tuple({"0", std::nullopt})
                              .Letter('N')
                              .Tuple({"1", "x"})
                              .str();
  EXPECT_EQ(Decoded<PgoutputUpdate>(key).old_kind, OldRow::kKey);
  EXPECT_EQ(Decoded<PgoutputUpdate>(key).old_row[0].bytes, "0");
  const std::string full = Bytes('U')
                               .Number<uint32_t>(42)
                               .Letter('O')
                               .Tuple({"1", "w"})
                               .Letter('N')
                               .Tuple({"1", "x"})
                               .str();
  EXPECT_EQ(Decoded<PgoutputUpdate>(full).old_kind, OldRow::kFull);
}

TEST(PgoutputDecoderTest, DeleteTruncateTypeOriginAndMessage) {
  const std::string gone =
      Bytes('D').Number<uint32_t>(42).Letter('K').Tuple({"1", std::nullopt}).str();
  EXPECT_EQ(Decoded<PgoutputDelete>(gone).old_row[0].bytes, "1");
  const std::string truncate = Bytes('T')
                                   .Number<uint32_t>(2)
                                   .Number<uint8_t>(3)
                                   .Number<uint32_t>(5)
                                   .Number<uint32_t>(6)
                                   .str();
  EXPECT_THAT(Decoded<PgoutputTruncate>(truncate).relations, testing::ElementsAre(5U, 6U));
  EXPECT_TRUE(Decoded<PgoutputTruncate>(truncate).restart_identity);
  const std::string type = Bytes('Y').Number<uint32_t>(99).Text("shop").Text("mood").str();
  EXPECT_EQ(Decoded<PgoutputType>(type).name, "mood");
  EXPECT_EQ(Decoded<PgoutputOrigin>(Origin("pgduet:g:main:b")).name, "pgduet:g:main:b");
  const std::string message = Message(true, "pgduet", "abc");
  EXPECT_EQ(Decoded<PgoutputMessageText>(message).content, "abc");
}

TEST(PgoutputDecoderTest, WhatIsNotAMessageIsANamedError) {
  for (const std::string& bytes :
       {std::string(), std::string("Z"), Begin(1, 2, 3) + "x", Begin(1, 2, 3).substr(0, 10),
        Bytes('U').Number<uint32_t>(1).Letter('X').str(),
        Bytes('I').Number<uint32_t>(1).Letter('N').Number<uint16_t>(60000).str(),
        Begin(1, std::numeric_limits<int64_t>::max(), 3),  // after the last time that we can count
        Bytes('T').Number<uint32_t>(0xFFFFFFFF).Number<uint8_t>(0).str()}) {
    const absl::StatusOr<PgoutputMessage> message = DecodePgoutput(bytes);
    ASSERT_FALSE(message.ok());
    EXPECT_EQ(ErrorName(message.status()), "malformed_pgoutput");
  }
}

// Whatever bytes come: a message or an error, and never a read outside of them (asan looks on).
TEST(PgoutputDecoderTest, SurvivesMutatedMessages) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE(testing::Message() << "seed=" << seed);
  std::mt19937_64 random(seed);
  const std::vector<std::string> good = {
      Begin(1, 2, 3),
      Commit(1, 2, 3),
      Origin("o"),
      RelationMessage(1, "t"),
      Insert(1, {"1", "x"}),
      Message(true, "p", "c"),
      Bytes('U')
          .Number<uint32_t>(1)
          .Letter('O')
          .Tuple({"1", "w"})
          .Letter('N')
          .Tuple({"1", "\x01"})
          .str(),
      Bytes('T').Number<uint32_t>(1).Number<uint8_t>(0).Number<uint32_t>(5).str()};
  for (int round = 0; round < 50'000; ++round) {
    std::string bytes = good[random() % good.size()];
    for (size_t flips = random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 3 == 0) bytes.resize(random() % (bytes.size() + 1));
    (void)DecodePgoutput(bytes);
  }
}

}  // namespace
}  // namespace pgduet
