#include "capture/transaction_assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "schemas/record.h"
#include "schemas/record_codec.h"
#include "tests/capture/pgoutput_bytes.h"

namespace pgduet {
namespace {

using namespace testing_bytes;  // NOLINT: the test's own vocabulary

// Writes down what it is told.
class Notebook : public AssemblerSink {
 public:
  absl::Status TransactionBegins(const LocalTransaction& transaction) override {
    begun.push_back(transaction.xid);
    return absl::OkStatus();
  }
  absl::Status Chunk(const LocalTransaction&, ChangeBatch batch, bool last, Lsn end_lsn) override {
    chunks.push_back({batch.changes.size(), last, end_lsn});
    batches.push_back(std::move(batch));
    return absl::OkStatus();
  }
  void Applied(const AppliedMarker& marker) override {
    applied.push_back(marker.position.sequence);
  }
  void Barrier(std::string_view token) override { barriers.emplace_back(token); }
  void TimeClosed(CommitTime time) override { closed.push_back(time); }
  absl::Status PolicyNoticed(std::string_view notice) override {
    notices.emplace_back(notice);
    return absl::OkStatus();
  }
  void TransactionEnds(Lsn end_lsn) override { ended.push_back(end_lsn.value()); }

  struct ChunkNote {
    size_t changes;
    bool last;
    Lsn end_lsn;
  };
  std::vector<uint32_t> begun;
  std::vector<ChunkNote> chunks;
  std::vector<ChangeBatch> batches;
  std::vector<uint64_t> applied;
  std::vector<std::string> barriers;
  std::vector<CommitTime> closed;
  std::vector<std::string> notices;
  std::vector<uint64_t> ended;
};

class TransactionAssemblerTest : public testing::Test {
 protected:
  absl::Status Take(const std::string& bytes) {
    absl::StatusOr<PgoutputMessage> message = DecodePgoutput(bytes);
    if (!message.ok()) return message.status();
    return assembler.Take(*message);
  }
  void TakeAll(const std::vector<std::string>& messages) {
    for (const std::string& bytes : messages) ASSERT_TRUE(Take(bytes).ok()) << Take(bytes);
  }
  static std::string Marker(uint64_t sequence) {
    return Message(
        true, MessagePrefixes("main").marker,
        EncodeMarker({.rank = 1,
                      .position = {.incarnation = 5, .sequence = sequence, .commit_lsn = Lsn(3)}}));
  }
  Notebook notebook;
  TransactionAssembler assembler{"g", "main", [](uint32_t) { return std::string("type"); },
                                 notebook};
};

TEST_F(TransactionAssemblerTest, ALocalTransactionComesAsOneChunk) {
  TakeAll({Begin(10, 0, 7), RelationMessage(1, "t"), Insert(1, {"1", "x"}), Insert(1, {"2", "y"}),
           Commit(10, 20, 0)});
  EXPECT_THAT(notebook.begun, testing::ElementsAre(7U));
  ASSERT_EQ(notebook.chunks.size(), 1U);
  EXPECT_EQ(notebook.chunks[0].changes, 2U);
  EXPECT_TRUE(notebook.chunks[0].last);
  EXPECT_EQ(notebook.chunks[0].end_lsn, Lsn(20));
  EXPECT_EQ(notebook.batches[0].RelationOf(notebook.batches[0].changes[0]).name, "t");
  EXPECT_THAT(notebook.ended, testing::ElementsAre(20U));
}

TEST_F(TransactionAssemblerTest, ATransactionOfOursGivesItsMarkerAndNoChange) {
  TakeAll({Begin(10, 0, 7), Origin("pgduet:g:main:b"), Marker(12), RelationMessage(1, "t"),
           Insert(1, {"1", "x"}), Commit(10, 20, 0)});
  EXPECT_TRUE(notebook.chunks.empty());
  EXPECT_THAT(notebook.applied, testing::ElementsAre(12U));
}

TEST_F(TransactionAssemblerTest, AMarkerWithoutOurOriginIsAnApplicationsOwnMessage) {
  TakeAll({Begin(10, 0, 7), Marker(12), RelationMessage(1, "t"), Insert(1, {"1", "x"}),
           Commit(10, 20, 0)});
  EXPECT_EQ(notebook.chunks.size(), 1U);
  EXPECT_TRUE(notebook.applied.empty());
}

TEST_F(TransactionAssemblerTest, AnotherToolsOriginIsALocalWrite) {
  TakeAll({Begin(10, 0, 7), Origin("pg_16389"), RelationMessage(1, "t"), Insert(1, {"1", "x"}),
           Commit(10, 20, 0)});
  EXPECT_EQ(notebook.chunks.size(), 1U);
}

TEST_F(TransactionAssemblerTest, OurOriginWithoutMarkerStopsTheStream) {
  TakeAll({Begin(10, 0, 7), Origin("pgduet:g:main:b"), RelationMessage(1, "t")});
  EXPECT_EQ(ErrorName(Take(Insert(1, {"1", "x"}))), "unmarked_own_transaction");
}

TEST_F(TransactionAssemblerTest, WhatAnotherSetAppliedGivesNothingButItsEnd) {
  TakeAll({Begin(10, 0, 7), Origin("pgduet:g:orders:b"),
           Message(true, MessagePrefixes("orders").marker, EncodeMarker({.rank = 1})),
           // Of a trigger that fires there, say.
           RelationMessage(1, "t"), Insert(1, {"1", "x"}), Commit(10, 20, 0)});
  EXPECT_TRUE(notebook.begun.empty());
  EXPECT_TRUE(notebook.chunks.empty());
  EXPECT_TRUE(notebook.applied.empty());
  EXPECT_THAT(notebook.ended, testing::ElementsAre(20U));
}

TEST_F(TransactionAssemblerTest, WhatFollowsAnotherSetsTransactionIsLocalAgain) {
  TakeAll({Begin(10, 0, 7), Origin("pgduet:g:orders:b"), Commit(10, 20, 0), Begin(20, 0, 8),
           RelationMessage(1, "t"), Insert(1, {"1", "x"}), Commit(20, 30, 0)});
  EXPECT_THAT(notebook.begun, testing::ElementsAre(8U));
  EXPECT_EQ(notebook.chunks.size(), 1U);
}

TEST_F(TransactionAssemblerTest, MessagesOfAnotherSetAreNotOurs) {
  const MessagePrefixes orders("orders");
  TakeAll({Begin(10, 0, 7), Message(true, orders.barrier, "token"), Commit(10, 20, 0)});
  TakeAll({Begin(20, 0, 8), Origin("pgduet:g:orders:housekeeper"),
           Message(true, orders.closed, EncodeClosedTime(7)), Commit(20, 30, 0)});
  TakeAll({Begin(30, 0, 9), Origin("pgduet:g:orders:policy-change"),
           Message(true, orders.policy, "policy"), Commit(30, 40, 0)});
  // Neither under our own origin, nor our prefix under theirs.
  TakeAll({Begin(40, 0, 10), Origin("pgduet:g:main:housekeeper"),
           Message(true, orders.closed, EncodeClosedTime(8)), Commit(40, 50, 0)});
  TakeAll({Begin(50, 0, 11), Origin("pgduet:g:orders:housekeeper"),
           Message(true, MessagePrefixes("main").closed, EncodeClosedTime(9)), Commit(50, 60, 0)});
  EXPECT_TRUE(notebook.barriers.empty());
  EXPECT_TRUE(notebook.closed.empty());
  EXPECT_TRUE(notebook.notices.empty());
  EXPECT_THAT(notebook.ended, testing::ElementsAre(20U, 30U, 40U, 50U, 60U));
}

TEST_F(TransactionAssemblerTest, AMarkerOfAnotherSetDoesNotMarkOurTransaction) {
  TakeAll({Begin(10, 0, 7), Origin("pgduet:g:main:b"),
           Message(true, MessagePrefixes("orders").marker, EncodeMarker({.rank = 1})),
           RelationMessage(1, "t")});
  EXPECT_EQ(ErrorName(Take(Insert(1, {"1", "x"}))), "unmarked_own_transaction");
}

TEST_F(TransactionAssemblerTest, AnEmptyTransactionGivesNothingButItsEnd) {
  TakeAll({Begin(10, 0, 7), Message(true, "other", "x"), Commit(10, 20, 0)});
  EXPECT_TRUE(notebook.begun.empty());
  EXPECT_TRUE(notebook.chunks.empty());
  EXPECT_THAT(notebook.ended, testing::ElementsAre(20U));
}

TEST_F(TransactionAssemblerTest, ABarrierIsReportedAndNotPublished) {
  TakeAll({Begin(10, 0, 7), Message(true, MessagePrefixes("main").barrier, "token"),
           Commit(10, 20, 0)});
  EXPECT_THAT(notebook.barriers, testing::ElementsAre("token"));
  EXPECT_TRUE(notebook.chunks.empty());
}

TEST_F(TransactionAssemblerTest, ANoticeAboutPoliciesIsHeardUnderOurOriginOnly) {
  TakeAll({Begin(10, 0, 7), Message(true, MessagePrefixes("main").policy, "policy forged"),
           Commit(10, 20, 0)});
  EXPECT_TRUE(notebook.notices.empty());
  TakeAll({Begin(20, 0, 8), Origin("pgduet:g:main:policy-change"),
           Message(true, MessagePrefixes("main").policy, "policy ours"), Commit(20, 30, 0)});
  EXPECT_THAT(notebook.notices, testing::ElementsAre("policy ours"));
}

TEST_F(TransactionAssemblerTest, AClosedTimeIsHeardUnderOurOriginOnly) {
  TakeAll({Begin(10, 0, 7), Message(true, MessagePrefixes("main").closed, EncodeClosedTime(5)),
           Commit(10, 20, 0)});
  EXPECT_TRUE(notebook.closed.empty());
  TakeAll({Begin(20, 0, 8), Origin("pgduet:g:main:housekeeper"),
           Message(true, MessagePrefixes("main").closed, EncodeClosedTime(7)), Commit(20, 30, 0)});
  EXPECT_THAT(notebook.closed, testing::ElementsAre(7));
  EXPECT_TRUE(notebook.chunks.empty());
  EXPECT_TRUE(notebook.applied.empty());
}

TEST_F(TransactionAssemblerTest,
       ALargeTransactionComesInChunksOfBoundedSizeAndTheLastIsNeverEmpty) {
  TakeAll({Begin(10, 0, 7), RelationMessage(1, "t")});
  const std::string value(10'000, 'x');
  for (int row = 0; row < 300; ++row)
    ASSERT_TRUE(Take(Insert(1, {std::to_string(row), value})).ok());
  TakeAll({Commit(10, 20, 0)});
  ASSERT_GT(notebook.chunks.size(), 3U);
  size_t changes = 0;
  for (size_t chunk = 0; chunk < notebook.chunks.size(); ++chunk) {
    EXPECT_EQ(notebook.chunks[chunk].last, chunk + 1 == notebook.chunks.size());
    EXPECT_GT(notebook.chunks[chunk].changes, 0U);
    EXPECT_LE(notebook.batches[chunk].arena.used_bytes(), kChunkBytesTarget + 2 * value.size());
    EXPECT_EQ(notebook.batches[chunk].relations.size(), 1U);  // each chunk describes itself
    changes += notebook.chunks[chunk].changes;
  }
  EXPECT_EQ(changes, 300U);
}

TEST_F(TransactionAssemblerTest, AChangeOfAnUnknownRelationIsAnError) {
  TakeAll({Begin(10, 0, 7)});
  EXPECT_EQ(ErrorName(Take(Insert(1, {"1", "x"}))), "malformed_pgoutput");
}

TEST_F(TransactionAssemblerTest, ARowWithAnotherNumberOfColumnsIsAnError) {
  TakeAll({Begin(10, 0, 7), RelationMessage(1, "t")});
  EXPECT_EQ(ErrorName(Take(Insert(1, {"1", "x", "y"}))), "malformed_pgoutput");
}

TEST_F(TransactionAssemblerTest, ARowWithoutColumnsIsAnErrorWhereTheTableHasSome) {
  TakeAll({Begin(10, 0, 7), RelationMessage(1, "t")});
  EXPECT_EQ(ErrorName(Take(Insert(1, {}))), "malformed_pgoutput");
  EXPECT_EQ(ErrorName(Take(Bytes('D').Number<uint32_t>(1).Letter('K').Tuple({}).str())),
            "malformed_pgoutput");
}

TEST_F(TransactionAssemblerTest, AnOriginAfterAChangeIsOutOfStep) {
  TakeAll({Begin(10, 0, 7), RelationMessage(1, "t"), Insert(1, {"1", "x"})});
  EXPECT_EQ(ErrorName(Take(Origin("pgduet:g:main:b"))), "malformed_pgoutput");
}

// One TRUNCATE can name more tables than one chunk may describe.
TEST_F(TransactionAssemblerTest, ATruncateOfManyTablesComesInChunksThatPeersTake) {
  constexpr uint32_t kTables = kRelationsMax + 10;
  Bytes truncate('T');
  truncate.Number<uint32_t>(kTables).Number<uint8_t>(0);
  TakeAll({Begin(10, 0, 7)});
  for (uint32_t oid = 1; oid <= kTables; ++oid) {
    ASSERT_TRUE(Take(RelationMessage(oid, "t")).ok());
    truncate.Number(oid);
  }
  TakeAll({truncate.str(), Commit(10, 20, 0)});
  size_t changes = 0;
  for (const ChangeBatch& batch : notebook.batches) {
    EXPECT_LE(batch.relations.size(), kRelationsMax);
    changes += batch.changes.size();
  }
  EXPECT_EQ(changes, kTables);
  EXPECT_TRUE(notebook.chunks.back().last);
}

TEST_F(TransactionAssemblerTest, DescriptionsOfTablesCountTowardsTheChunk) {
  TakeAll({Begin(10, 0, 7)});
  const std::string long_name(200, 'n');
  for (uint32_t oid = 1; oid <= 4000; ++oid) {
    ASSERT_TRUE(Take(RelationMessage(oid, long_name)).ok());
    ASSERT_TRUE(Take(Insert(oid, {"1", "x"})).ok());
  }
  TakeAll({Commit(10, 20, 0)});
  EXPECT_GT(notebook.chunks.size(), 1U);
}

}  // namespace
}  // namespace pgduet
