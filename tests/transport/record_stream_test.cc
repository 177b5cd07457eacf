#include "transport/record_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/schemas/forged_record.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

using testing::HasSubstr;

constexpr uint64_t kPolicyHash = 0x1122334455667788;

RecordStream::Options Options() {
  return {.group = "shop",
          .origin = "us-east",
          .set = "main",
          .rank = 1,
          .policy_hash = kPolicyHash,
          .policy_text = "defaults.policy=last_write_wins\npublic.stock.policy=merge\n"};
}

Position AppliedUpTo(uint64_t sequence) {
  if (sequence == 0) return {};
  return {.incarnation = kSampleIncarnation,
          .sequence = sequence,
          .commit_lsn = SampleLsn(sequence),
          .commit_time = kSampleTime};
}

std::string Encode(const Record& record) { return EncodeRecord(record).at(0); }

// Chunk `chunk` of a run of this many.
std::string Piece(uint64_t sequence, uint64_t epoch, uint32_t chunk, uint32_t chunks) {
  return Encode(SampleTransaction(sequence, epoch, chunk, chunk + 1 == chunks));
}

class RecordStreamTest : public testing::Test {
 protected:
  StreamEventKind Take(const std::string& bytes) {
    auto event = stream_.Accept(offset_++, bytes);
    EXPECT_TRUE(event.ok()) << event.status();
    return event.ok() ? event->kind : StreamEventKind::kNothing;
  }
  absl::Status Refuse(const std::string& bytes) {
    const Position before = stream_.applied();
    const absl::Status first = stream_.Accept(offset_, bytes).status();
    // Judged again, the same entry gets the same answer.
    EXPECT_EQ(stream_.Accept(offset_, bytes).status(), first);
    EXPECT_EQ(stream_.applied(), before);
    return first;
  }
  std::string NameOfRefusal(const std::string& bytes) { return ErrorName(Refuse(bytes)); }
  void Restart(Position applied) { stream_ = RecordStream(Options(), applied); }

  RecordStream stream_{Options(), AppliedUpTo(10)};
  int64_t offset_ = 100;
};

constexpr auto kNothing = StreamEventKind::kNothing;
constexpr auto kChunk = StreamEventKind::kChunk;
constexpr auto kRestart = StreamEventKind::kRestart;
constexpr auto kHeartbeat = StreamEventKind::kHeartbeat;

TEST_F(RecordStreamTest, TheNextTransactionIsHandedOutChunkByChunk) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kChunk);
  EXPECT_EQ(stream_.applied(), AppliedUpTo(10));
  EXPECT_EQ(Take(Piece(11, 1, 2, 3)), kChunk);
  EXPECT_EQ(stream_.applied().sequence, 11u);
  EXPECT_EQ(stream_.applied().commit_lsn, SampleLsn(11));
  EXPECT_EQ(Take(Piece(12, 1, 0, 1)), kChunk);
}

TEST_F(RecordStreamTest, EventsCarryRecordAndOffset) {
  const auto event = stream_.Accept(77, Piece(11, 1, 0, 1));
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->offset, 77);
  EXPECT_EQ(event->record.header.sequence, 11u);
  EXPECT_EQ(event->record.batch.changes.size(), 4u);
}

TEST_F(RecordStreamTest, WhatIsAppliedIsDropped) {
  EXPECT_EQ(Take(Piece(9, 1, 0, 1)), kNothing);
  EXPECT_EQ(Take(Piece(10, 1, 0, 2)), kNothing);
  EXPECT_EQ(Take(Piece(10, 1, 1, 2)), kNothing);
}

TEST_F(RecordStreamTest, AnAbandonedRunIsRestartedByItsReSend) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 2, 0, 3)), kRestart);
  EXPECT_EQ(Take(Piece(11, 1, 2, 3)), kNothing);  // the old writer, woken
  EXPECT_EQ(Take(Piece(11, 2, 1, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 2, 2, 3)), kChunk);
  EXPECT_EQ(stream_.applied().sequence, 11u);
}

TEST_F(RecordStreamTest, ARestartMayBeTheWholeTransaction) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 2)), kChunk);
  EXPECT_EQ(Take(Piece(11, 2, 0, 1)), kRestart);
  EXPECT_EQ(Take(Piece(12, 2, 0, 1)), kChunk);
}

TEST_F(RecordStreamTest, ANewerWritersHeartbeatSilencesTheOlderWriter) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 2)), kChunk);
  EXPECT_EQ(Take(Encode(SampleHeartbeat(10, 2))), kHeartbeat);
  EXPECT_EQ(Take(Piece(11, 1, 1, 2)), kNothing);
  EXPECT_EQ(Take(Piece(11, 2, 0, 2)), kRestart);
}

TEST_F(RecordStreamTest, TheRestOfARunThatWasNotBegunIsDropped) {
  EXPECT_EQ(Take(Piece(11, 1, 1, 2)), kNothing);
  EXPECT_EQ(NameOfRefusal(Piece(12, 1, 0, 1)), "sequence_gap");
}

TEST_F(RecordStreamTest, ANewerWritersRestWithoutItsBeginningIsDropped) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 2, 1, 3)), kNothing);
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kNothing);
  EXPECT_EQ(NameOfRefusal(Piece(12, 2, 0, 1)), "sequence_gap");
}

TEST_F(RecordStreamTest, AProducersRetryIsDropped) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kChunk);
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kNothing);
  EXPECT_EQ(Take(Piece(11, 1, 2, 3)), kChunk);
}

TEST_F(RecordStreamTest, AMissingTransactionIsAGapThatSaysWhich) {
  const absl::Status status = Refuse(Piece(13, 1, 0, 1));
  EXPECT_EQ(ErrorName(status), "sequence_gap");
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("expected=11 found=13"));
  EXPECT_THAT(ErrorRemedy(status), HasSubstr("attach"));
}

TEST_F(RecordStreamTest, AMissingChunkIsAGap) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  EXPECT_EQ(NameOfRefusal(Piece(11, 1, 2, 3)), "sequence_gap");
  EXPECT_EQ(Take(Piece(11, 1, 1, 3)), kChunk);
}

TEST_F(RecordStreamTest, AHeartbeatTellsOfTransactionsThatNeverCame) {
  EXPECT_EQ(Take(Encode(SampleHeartbeat(10))), kHeartbeat);
  EXPECT_EQ(Take(Encode(SampleHeartbeat(9))), kNothing);
  EXPECT_EQ(NameOfRefusal(Encode(SampleHeartbeat(11))), "sequence_gap");
}

TEST_F(RecordStreamTest, AnEmptyReaderBeginsWithTheFirstTransaction) {
  Restart({});
  EXPECT_EQ(Take(Encode(SampleHeartbeat(0))), kHeartbeat);
  EXPECT_EQ(NameOfRefusal(Piece(2, 1, 0, 1)), "sequence_gap");
  EXPECT_EQ(NameOfRefusal(Encode(SampleHeartbeat(1))), "sequence_gap");
  EXPECT_EQ(Take(Piece(1, 1, 0, 1)), kChunk);
}

TEST_F(RecordStreamTest, LsnMustGrowWithTheSequence) {
  Record record = SampleTransaction(11);
  record.header.commit_lsn = SampleLsn(10);
  record.vector.Set(1, {.incarnation = kSampleIncarnation,
                        .sequence = 11,
                        .commit_lsn = SampleLsn(10),
                        .commit_time = 0});
  EXPECT_EQ(NameOfRefusal(Encode(record)), "invalid_record");
}

TEST_F(RecordStreamTest, TwoTransactionsWithOneNumberAreNoticed) {
  Record record = SampleTransaction(10);
  record.header.commit_lsn = SampleLsn(11);
  record.header.through_lsn = SampleLsn(12);
  record.vector.Set(1, {.incarnation = kSampleIncarnation,
                        .sequence = 10,
                        .commit_lsn = SampleLsn(11),
                        .commit_time = 0});
  EXPECT_EQ(NameOfRefusal(Encode(record)), "invalid_record");
}

TEST_F(RecordStreamTest, ChunksOfOneRunMustAgree) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 3)), kChunk);
  Record other = SampleTransaction(11, 1, 1, false);
  other.header.commit_time += 1;
  EXPECT_EQ(NameOfRefusal(Encode(other)), "invalid_record");
}

TEST_F(RecordStreamTest, ForeignRecordsAreNamed) {
  const auto refused_with = [&](auto change) {
    Record record = SampleHeartbeat(10);
    change(record.header);
    return NameOfRefusal(Encode(record));
  };
  EXPECT_EQ(refused_with([](RecordHeader& h) { h.group = "other"; }), "foreign_group");
  EXPECT_EQ(refused_with([](RecordHeader& h) { h.origin = "eu-west"; }), "foreign_origin");
  EXPECT_EQ(refused_with([](RecordHeader& h) { h.set = "other"; }), "foreign_origin");
  EXPECT_EQ(refused_with([](RecordHeader& h) { h.rank = 2; }), "foreign_origin");
}

TEST_F(RecordStreamTest, ANewWalHistoryStopsTheStream) {
  Record record = SampleTransaction(11);
  record.header.incarnation = 5;
  record.vector.Set(
      1, {.incarnation = 5, .sequence = 11, .commit_lsn = SampleLsn(11), .commit_time = 0});
  EXPECT_EQ(NameOfRefusal(Encode(record)), "incarnation_changed");
}

TEST_F(RecordStreamTest, AnotherPolicyIsNamedByItsFirstDifferentSetting) {
  EXPECT_EQ(Take(Encode(SampleAnnouncement(
                "defaults.policy=last_write_wins\npublic.stock.policy=versions\n", 7))),
            kNothing);
  Record record = SampleTransaction(11);
  record.header.policy_hash = 7;
  const absl::Status status = Refuse(Encode(record));
  EXPECT_EQ(ErrorName(status), "policy_mismatch");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("here 'public.stock.policy=merge', there 'public.stock.policy=versions'"));
}

TEST_F(RecordStreamTest, AnotherPolicyIsToldByHashWhenNothingWasAnnounced) {
  Record record = SampleTransaction(11);
  record.header.policy_hash = 7;
  const absl::Status status = Refuse(Encode(record));
  EXPECT_EQ(ErrorName(status), "policy_mismatch");
  EXPECT_THAT(std::string(status.message()), HasSubstr("there=0000000000000007"));
}

// An agent that was restarted with a new file left heartbeats of the old one behind.
TEST_F(RecordStreamTest, AHeartbeatOfAnotherPolicyIsADoubtUntilABetterRecordComes) {
  Record record = SampleHeartbeat(10);
  record.header.policy_hash = 7;
  EXPECT_EQ(Take(Encode(record)), kNothing);
  EXPECT_EQ(ErrorName(stream_.doubt()), "policy_mismatch");
  EXPECT_EQ(Take(Encode(SampleHeartbeat(10))), kHeartbeat);
  EXPECT_TRUE(stream_.doubt().ok()) << stream_.doubt();
}

TEST_F(RecordStreamTest, AnotherPolicyOfWhatIsAppliedAlreadyIsNoMatter) {
  Record record = SampleTransaction(10);
  record.header.policy_hash = 7;
  EXPECT_EQ(Take(Encode(record)), kNothing);
}

Record SampleNotice(uint64_t sequence, std::string text) {
  Record record = SampleHeartbeat(sequence);
  record.header.kind = RecordKind::kNotice;
  record.has_vector = false;
  record.vector = {};
  record.notice = std::move(text);
  return record;
}

TEST_F(RecordStreamTest, ANoticeAboutPoliciesIsHandedOnWhateverItsHash) {
  Record notice = SampleNotice(10, "policy 1 fenced 12 ab cd 5");
  notice.header.policy_hash = 7;
  EXPECT_EQ(Take(Encode(notice)), StreamEventKind::kNotice);
  EXPECT_EQ(Take(Encode(notice)), StreamEventKind::kNotice);  // said again after a restart
  EXPECT_EQ(Take(Encode(SampleNotice(9, "policy 1 fenced 12 ab cd 5"))), kNothing);
  EXPECT_EQ(Take(Encode(SampleNotice(10, "schema column added"))), kNothing);
}

TEST_F(RecordStreamTest, ANoticeIsJudgedLikeAnyRecord) {
  EXPECT_EQ(NameOfRefusal(Encode(SampleNotice(11, "policy 1 fenced 12 ab cd 5"))), "sequence_gap");
  EXPECT_EQ(NameOfRefusal(Encode(SampleNotice(10, "policy 1 fenced x ab cd 5"))), "invalid_record");
}

// Ours came online; the origin has not switched yet.
TEST_F(RecordStreamTest, ThePreviousSetIsTakenWhereItDecidesTheSame) {
  RecordStream::Options options = Options();
  options.previous_hash = 7;
  options.changed_tables = {{"app", "another"}};
  stream_ = RecordStream(options, AppliedUpTo(10));
  Record record = SampleTransaction(11);
  record.header.policy_hash = 7;
  EXPECT_EQ(Take(Encode(record)), kChunk);
  Record heartbeat = SampleHeartbeat(11);
  heartbeat.header.policy_hash = 7;
  EXPECT_EQ(Take(Encode(heartbeat)), kHeartbeat);
  Record third = SampleTransaction(12);
  third.header.policy_hash = 8;
  EXPECT_EQ(NameOfRefusal(Encode(third)), "policy_mismatch");
}

TEST_F(RecordStreamTest, ThePreviousSetIsRefusedInATableThatHasChanged) {
  const auto relation = SampleRelation();
  RecordStream::Options options = Options();
  options.previous_hash = 7;
  options.changed_tables = {{relation->schema, relation->name}};
  stream_ = RecordStream(options, AppliedUpTo(10));
  Record record = SampleTransaction(11);
  record.header.policy_hash = 7;
  const absl::Status status = Refuse(Encode(record));
  EXPECT_EQ(ErrorName(status), "policy_mismatch");
  EXPECT_THAT(std::string(status.message()), HasSubstr(relation->name));
  EXPECT_EQ(Take(Encode(SampleTransaction(11))), kChunk);
}

TEST_F(RecordStreamTest, FragmentsAreJoined) {
  const std::string whole = Piece(11, 1, 0, 2);
  const auto pieces = CutRecord(whole, 3);
  EXPECT_EQ(Take(pieces[0]), kNothing);
  EXPECT_EQ(Take(pieces[1]), kNothing);
  EXPECT_EQ(Take(pieces[1]), kNothing);
  EXPECT_EQ(Take(pieces[2]), kChunk);
  EXPECT_EQ(Take(Piece(11, 1, 1, 2)), kChunk);
}

TEST_F(RecordStreamTest, AJoinBegunAnewForgetsWhatItHad) {
  const auto first = CutRecord(Piece(11, 1, 0, 1), 3);
  const auto second = CutRecord(Piece(11, 2, 0, 1), 2);
  EXPECT_EQ(Take(first[0]), kNothing);
  EXPECT_EQ(Take(first[1]), kNothing);
  EXPECT_EQ(Take(second[0]), kNothing);
  EXPECT_EQ(Take(first[2]), kNothing);
  // Nothing of the first run was handed out, so there is nothing to undo.
  EXPECT_EQ(Take(second[1]), kChunk);
}

TEST_F(RecordStreamTest, ARestartInFragmentsIsToldWhenItIsWhole) {
  EXPECT_EQ(Take(Piece(11, 1, 0, 2)), kChunk);
  const auto pieces = CutRecord(Piece(11, 2, 0, 1), 2);
  EXPECT_EQ(Take(pieces[0]), kNothing);
  EXPECT_EQ(Take(pieces[1]), kRestart);
}

TEST_F(RecordStreamTest, AMissingFragmentIsAGap) {
  const auto pieces = CutRecord(Piece(11, 1, 0, 1), 3);
  EXPECT_EQ(Take(pieces[0]), kNothing);
  EXPECT_EQ(NameOfRefusal(pieces[2]), "sequence_gap");
}

TEST_F(RecordStreamTest, AJoinThatCannotBeDecodedStaysAsItWas) {
  const auto pieces = CutRecord(Piece(11, 1, 0, 1), 2);
  EXPECT_EQ(Take(pieces[0]), kNothing);
  wire::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(pieces[1]));
  envelope.set_body(envelope.body() + "garbage");
  EXPECT_EQ(NameOfRefusal(SealRecord(envelope)), "invalid_record");
  EXPECT_EQ(Take(pieces[1]), kChunk);
}

TEST_F(RecordStreamTest, DamagedRecordsAreNamedWithTheirPlace) {
  std::string bytes = Piece(11, 1, 0, 1);
  bytes[bytes.size() / 2] ^= 1;
  const absl::Status status = Refuse(bytes);
  EXPECT_EQ(ErrorName(status), "corrupt_record");
  EXPECT_THAT(std::string(status.message()), HasSubstr("origin=us-east set=main offset=100"));
}

}  // namespace
}  // namespace pgduet
