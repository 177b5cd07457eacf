#include "transport/kafka_log.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "base/named_error.h"
#include "tests/transport/kafka_topics.h"

namespace pgduet {
namespace {

using testing::HasSubstr;

class KafkaLogTest : public KafkaTest {
 protected:
  std::optional<LogTail> Tail() {
    auto tail = NewWriter()->ReadTail();
    EXPECT_TRUE(tail.ok()) << tail.status();
    return tail.ok() ? *tail : std::nullopt;
  }
  std::string TailError() { return ErrorName(NewWriter()->ReadTail().status()); }
};

TEST(KafkaTopicNameTest, HasGroupRegionAndSet) {
  EXPECT_EQ(TopicName("shop", "us-east", "main"), "pgduet.shop.us-east.main");
  EXPECT_EQ(ConflictTopicName("shop", "us-east", "main"), "pgduet.shop.us-east.conflicts");
  EXPECT_EQ(ConflictTopicName("shop", "us-east", "orders"), "pgduet.shop.us-east.orders.conflicts");
}

TEST_F(KafkaLogTest, WhatIsAppendedIsReadInOrder) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 500; ++i) Append(*writer, SampleTransaction(i));
  EXPECT_EQ(writer->AppendedCount(), 500u);
  Flush(*writer);
  EXPECT_EQ(writer->DurableCount(), 500u);
  auto reader = NewReader(-1);
  for (uint64_t i = 1; i <= 500; ++i) {
    const LogEntry entry = NextOf(*reader);
    EXPECT_EQ(entry.offset, static_cast<int64_t>(i - 1));
    EXPECT_EQ(entry.bytes, EncodeRecord(SampleTransaction(i))[0]);
  }
}

TEST_F(KafkaLogTest, RecordsAppendedTogetherShareAMessage) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 100; ++i)
    ASSERT_TRUE(writer->Append(EncodeRecord(SampleTransaction(i))[0]).ok());
  EXPECT_TRUE(writer->HoldsBack());
  EXPECT_EQ(writer->AppendedCount(), 100u);
  EXPECT_EQ(writer->DurableCount(), 0u);
  Flush(*writer);
  EXPECT_FALSE(writer->HoldsBack());
  EXPECT_EQ(writer->DurableCount(), 100u);
  Append(*writer, SampleTransaction(101));
  auto reader = NewReader(-1);
  // Who stops before the last one of a message reads all of it again.
  for (uint64_t i = 1; i <= 101; ++i) {
    const LogEntry entry = NextOf(*reader);
    EXPECT_EQ(entry.offset, static_cast<int64_t>(i < 100 ? -1 : i - 100));
    EXPECT_EQ(entry.bytes, EncodeRecord(SampleTransaction(i))[0]);
  }
  ASSERT_TRUE(reader->Seek(1).ok());
  EXPECT_EQ(NextOf(*reader).bytes, EncodeRecord(SampleTransaction(1))[0]);
  ASSERT_TRUE(reader->Seek(0).ok());  // the rest of the message is not given any more
  EXPECT_EQ(NextOf(*reader).bytes, EncodeRecord(SampleTransaction(1))[0]);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 101u);
}

// The reader holds the message that its last record came in.
TEST_F(KafkaLogTest, AFewRecordsBehindMessagesOfManyAreHeldBackForAMomentOnly) {
  CreateTopic();
  auto writer = NewWriter();
  uint64_t sequence = 0;
  for (int message = 0; message < 5; ++message) {
    for (int record = 0; record < 50; ++record)
      ASSERT_TRUE(writer->Append(EncodeRecord(SampleTransaction(++sequence))[0]).ok());
    ASSERT_TRUE(writer->Wait(absl::ZeroDuration()).ok());
  }
  ASSERT_TRUE(writer->Append(EncodeRecord(SampleTransaction(++sequence))[0]).ok());
  // Nobody calls it in vain: a Wait() of any length comes back in time to send them.
  for (int wait = 0; wait < 100 && writer->DurableCount() < sequence; ++wait)
    ASSERT_TRUE(writer->Wait(kPatience).ok());
  EXPECT_EQ(writer->DurableCount(), sequence);
  EXPECT_FALSE(writer->HoldsBack());
  auto reader = NewReader(-1);
  for (uint64_t i = 1; i <= sequence; ++i)
    EXPECT_EQ(NextOf(*reader).bytes, EncodeRecord(SampleTransaction(i))[0]);
}

TEST_F(KafkaLogTest, AReaderThatHasReadEnds) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Append(*writer, SampleTransaction(2));
  Flush(*writer);
  const int left_behind = ClientsLeftBehind();
  auto reader = NewReader(-1);
  (void)NextOf(*reader);
  reader.reset();
  EXPECT_EQ(ClientsLeftBehind(), left_behind);
}

TEST_F(KafkaLogTest, TheTailIsTheLastRecordOfAMessage) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 7; ++i)
    ASSERT_TRUE(writer->Append(EncodeRecord(SampleTransaction(i))[0]).ok());
  ASSERT_TRUE(writer->Append(EncodeRecord(SampleTransaction(8, 1, 0, /*last=*/false))[0]).ok());
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 7u);
}

TEST_F(KafkaLogTest, MoreThanMayBeOnItsWayKeepsItsOrder) {
  CreateTopic();
  auto writer = NewWriter();
  const auto record = [](uint64_t i) { return EncodeRecord(LargeTransaction(i, 40'000)); };
  for (uint64_t i = 1; i <= 300; ++i) {
    for (std::string& piece : record(i)) ASSERT_TRUE(writer->Append(std::move(piece)).ok());
  }
  Flush(*writer);
  EXPECT_EQ(writer->DurableCount(), writer->AppendedCount());
  auto reader = NewReader(-1);
  int64_t offset = -1;
  for (uint64_t i = 1; i <= 300; ++i) {
    for (const std::string& piece : record(i)) {
      const LogEntry entry = NextOf(*reader);
      EXPECT_EQ(entry.bytes, piece);
      EXPECT_GE(entry.offset, offset);
      offset = entry.offset;
    }
  }
}

// 72 MB: the client's queue is full several times, and whoever reads it to its end ends the pause.
TEST_F(KafkaLogTest, ALogOfSeveralTimesTheClientsQueueIsReadInOrder) {
  CreateTopic();
  auto writer = NewWriter();
  const auto record = [](uint64_t i) { return EncodeRecord(LargeTransaction(i, 800'000))[0]; };
  for (uint64_t i = 1; i <= 90; ++i) Append(*writer, LargeTransaction(i, 800'000));
  Flush(*writer);
  auto reader = NewReader(-1);
  for (uint64_t i = 1; i <= 90; ++i) EXPECT_EQ(NextOf(*reader).bytes, record(i));
  Append(*writer, SampleTransaction(91));
  Flush(*writer);
  EXPECT_EQ(NextOf(*reader).bytes, EncodeRecord(SampleTransaction(91))[0]);
}

TEST_F(KafkaLogTest, AReaderContinuesAtItsOffsetAfterTheRecordBeforeIt) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 10; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  auto reader = NewReader(7);
  EXPECT_EQ(NextOf(*reader).offset, 6);
  EXPECT_EQ(NextOf(*reader).offset, 7);
  ASSERT_TRUE(reader->Seek(10).ok());
  EXPECT_EQ(NextOf(*reader).offset, 9);
  Append(*writer, SampleTransaction(11));
  Flush(*writer);
  EXPECT_EQ(NextOf(*reader).offset, 10);
}

TEST_F(KafkaLogTest, NothingComesWhenThereIsNothing) {
  CreateTopic();
  auto reader = NewReader(-1);
  const auto entry = reader->Next(absl::Milliseconds(1));
  ASSERT_TRUE(entry.ok());
  EXPECT_FALSE(entry->has_value());
}

TEST_F(KafkaLogTest, InterruptWakesABlockedReader) {
  CreateTopic();
  auto reader = NewReader(-1);
  std::jthread waker([&] { reader->Interrupt(); });
  const auto entry = reader->Next(absl::Hours(1));
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_FALSE(entry->has_value());
}

TEST_F(KafkaLogTest, APositionThatRetentionTookIsLost) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 10; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  ForgetBefore(6);
  auto reader = KafkaLogReader::Open(options_);
  ASSERT_TRUE(reader.ok());
  const absl::Status lost = (*reader)->Seek(5);
  EXPECT_EQ(ErrorName(lost), "position_lost");
  EXPECT_EQ(lost.code(), absl::StatusCode::kDataLoss);
  // What was applied may be gone: only the next one is needed.
  ASSERT_TRUE((*reader)->Seek(6).ok());
  EXPECT_EQ(NextOf(**reader).offset, 6);
}

TEST_F(KafkaLogTest, APositionBeyondTheEndIsLost) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 3; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  auto reader = KafkaLogReader::Open(options_);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(ErrorName((*reader)->Seek(4)), "position_lost");
}

TEST_F(KafkaLogTest, ATopicTakenAwayUnderAReaderIsNoticed) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 3; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  auto reader = NewReader(3);
  EXPECT_EQ(NextOf(*reader).offset, 2);
  ForgetBefore(3);
  writer.reset();
  ASSERT_TRUE(admin_->DeleteTopic(options_.topic).ok());
  const absl::Status status = ErrorOf(*reader);
  EXPECT_TRUE(ErrorName(status) == "topic_missing" || ErrorName(status) == "position_lost")
      << status;
}

TEST_F(KafkaLogTest, AMissingTopicIsNamed) {
  auto reader = KafkaLogReader::Open(options_);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(ErrorName((*reader)->Seek(3)), "topic_missing");
  EXPECT_EQ(TailError(), "topic_missing");
}

TEST_F(KafkaLogTest, AppliedOffsetsAreCommittedForLagTools) {
  CreateTopic();
  options_.consumer_group = options_.topic + ".lag";
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 5; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  auto reader = NewReader(-1);
  EXPECT_EQ(NextOf(*reader).offset, 0);
  reader->Applied(3, Lsn(1));
  char error[256];
  KafkaConf conf = *NewKafkaConf(options_.kafka, {}, {{"group.id", options_.consumer_group}});
  const KafkaHandle tool(rd_kafka_new(RD_KAFKA_CONSUMER, conf.release(), error, sizeof(error)));
  const absl::Time deadline = absl::Now() + kPatience;
  int64_t committed = -1;
  while (committed != 4 && absl::Now() < deadline) {
    ASSERT_TRUE(reader->Next(absl::Milliseconds(100)).ok());
    const KafkaPartitions wanted = SinglePartition(options_.topic, RD_KAFKA_OFFSET_INVALID);
    if (rd_kafka_committed(tool.get(), wanted.get(), 5000) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      committed = wanted->elems[0].offset;
    }
  }
  EXPECT_EQ(committed, 4);
}

TEST_F(KafkaLogTest, AnEmptyLogHasNoTail) {
  CreateTopic();
  EXPECT_EQ(Tail(), std::nullopt);
}

TEST_F(KafkaLogTest, TheTailIsTheLastCompleteTransaction) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 9; ++i) Append(*writer, SampleTransaction(i, /*writer_epoch=*/4));
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  const Record last = SampleTransaction(9, 4);
  EXPECT_EQ(tail->sequence, 9u);
  EXPECT_EQ(tail->last, (Position{kSampleIncarnation, 9, SampleLsn(9), last.header.commit_time}));
  EXPECT_EQ(tail->through_lsn, last.header.through_lsn);
  EXPECT_EQ(tail->incarnation, kSampleIncarnation);
  EXPECT_EQ(tail->vector, last.vector);
  EXPECT_EQ(tail->writer_epoch, 4u);
}

TEST_F(KafkaLogTest, AHeartbeatMovesTheTail) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Record heartbeat = SampleHeartbeat(1, 2);
  heartbeat.header.through_lsn = Lsn(0x9999999);
  Append(*writer, heartbeat);
  Append(*writer, SampleAnnouncement("a=1\n", 1, 2));
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 1u);
  EXPECT_EQ(tail->through_lsn, Lsn(0x9999999));
  EXPECT_EQ(tail->writer_epoch, 2u);
}

TEST_F(KafkaLogTest, UnfinishedRunsOfAnySizeBeforeTheEndAreSkipped) {
  CreateTopic();
  options_.queue_bytes_max = 64 * 1024 * 1024;
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1, 1));
  for (uint32_t chunk = 0; chunk < 2000; ++chunk)
    Append(*writer, SampleTransaction(2, 1, chunk, false));
  auto pieces = EncodeRecord(LargeTransaction(2, 3 * kRecordBytesMax, /*writer_epoch=*/2));
  pieces.pop_back();
  for (std::string& piece : pieces) ASSERT_TRUE(writer->Append(std::move(piece)).ok());
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 1u);
  EXPECT_EQ(tail->writer_epoch, 2u);
}

TEST_F(KafkaLogTest, ALogOfOneUnfinishedRunTellsItsWriterOnly) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1, 3, 0, false));
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 0u);
  EXPECT_EQ(tail->last, Position{});
  EXPECT_EQ(tail->writer_epoch, 3u);
}

TEST_F(KafkaLogTest, WhatAWokenWriterLeftBehindIsNotTheTail) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1, 1));
  Append(*writer, SampleHeartbeat(1, 2));
  // The old writer's queue, flushed late: readers drop it.
  for (uint64_t i = 2; i <= 300; ++i) Append(*writer, SampleTransaction(i, 1));
  Flush(*writer);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 1u);
  EXPECT_EQ(tail->writer_epoch, 2u);
}

TEST_F(KafkaLogTest, AnEmptiedTopicHasLostItsTail) {
  CreateTopic();
  auto writer = NewWriter();
  for (uint64_t i = 1; i <= 3; ++i) Append(*writer, SampleTransaction(i));
  Flush(*writer);
  ForgetBefore(3);
  EXPECT_EQ(TailError(), "position_lost");
}

TEST_F(KafkaLogTest, AnothersTopicIsRefused) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Flush(*writer);
  options_.group = "other";
  EXPECT_EQ(TailError(), "foreign_group");
  options_.group = "shop";
  options_.origin = "eu-west";
  EXPECT_EQ(TailError(), "foreign_origin");
}

TEST_F(KafkaLogTest, ADamagedTailIsNamedWithItsOffset) {
  CreateTopic();
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  ASSERT_TRUE(writer->Append("not a record").ok());
  Flush(*writer);
  const absl::Status status = NewWriter()->ReadTail().status();
  EXPECT_EQ(ErrorName(status), "corrupt_record");
  EXPECT_THAT(std::string(status.message()), HasSubstr("offset=1"));
}

TEST_F(KafkaLogTest, ARefusedRecordStopsAllAfterIt) {
  CreateRawTopic(1, {{"max.message.bytes", "10000"}});
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Flush(*writer);
  ASSERT_TRUE(writer->Append(std::string(100'000, 'x')).ok());
  absl::Status status;
  const absl::Time deadline = absl::Now() + kPatience;
  for (uint64_t i = 2; status.ok() && absl::Now() < deadline; ++i) {
    status = writer->Append(EncodeRecord(SampleTransaction(i))[0]);
    if (absl::IsResourceExhausted(status)) status = absl::OkStatus();
    if (status.ok()) status = writer->Wait(absl::Milliseconds(10));
  }
  EXPECT_EQ(ErrorName(status), "topic_message_size_too_small") << status;
  EXPECT_EQ(writer->DurableCount(), 1u);
  EXPECT_EQ(writer->Append("x"), status);
  writer.reset();
  auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, 1u);
}

TEST_F(KafkaLogTest, AFrozenBrokerFillsTheQueueAndLosesNothing) {
  const char* pid_text = std::getenv("PGDUET_TEST_KAFKA_PID");
  ASSERT_NE(pid_text, nullptr);
  const pid_t broker = static_cast<pid_t>(std::atoi(pid_text));
  CreateTopic();
  options_.queue_bytes_max = 1024 * 1024;
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Flush(*writer);
  ASSERT_EQ(kill(broker, SIGSTOP), 0);
  uint64_t next = 2;
  absl::Status status;
  const absl::Time deadline = absl::Now() + kPatience;
  while (!absl::IsResourceExhausted(status) && absl::Now() < deadline) {
    status = writer->Append(EncodeRecord(SampleTransaction(next))[0]);
    if (status.ok()) ++next;
  }
  EXPECT_EQ(writer->DurableCount(), 1u);
  ASSERT_EQ(kill(broker, SIGCONT), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  Flush(*writer);
  EXPECT_EQ(writer->DurableCount(), next - 1);
  const auto tail = Tail();
  ASSERT_TRUE(tail.has_value());
  EXPECT_EQ(tail->sequence, next - 1);
}

TEST_F(KafkaLogTest, UnreachableBrokersAreNamedByEveryone) {
  options_.kafka.brokers = "127.0.0.1:1";
  options_.kafka.network_timeout = absl::Milliseconds(500);
  EXPECT_EQ(TailError(), "broker_unreachable");
  auto reader = KafkaLogReader::Open(options_);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(ErrorName((*reader)->Seek(3)), "broker_unreachable");
  EXPECT_EQ(ErrorName((*reader)->Seek(-1)), "broker_unreachable");
  const absl::Status status = ErrorOf(**reader);
  EXPECT_EQ(ErrorName(status), "broker_unreachable");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  auto writer = NewWriter();
  ASSERT_TRUE(writer->Append("x").ok());
  const absl::Time deadline = absl::Now() + kPatience;
  while (writer->broker_up() && absl::Now() < deadline) {
    EXPECT_TRUE(writer->Wait(absl::Milliseconds(100)).ok());
  }
  EXPECT_FALSE(writer->broker_up());
}

TEST_F(KafkaLogTest, ForbiddenPropertiesAreRefusedByBothEnds) {
  options_.kafka.properties = {{"acks", "1"}};
  EXPECT_EQ(ErrorName(KafkaLogWriter::Open(options_).status()), "forbidden_property");
  EXPECT_EQ(ErrorName(KafkaLogReader::Open(options_).status()), "forbidden_property");
}

TEST_F(KafkaLogTest, CompressionIsTheUsersToChoose) {
  CreateTopic();
  options_.kafka.properties = {{"compression.codec", "lz4"}};
  auto writer = NewWriter();
  Append(*writer, SampleTransaction(1));
  Flush(*writer);
  EXPECT_EQ(NextOf(*NewReader(-1)).bytes, EncodeRecord(SampleTransaction(1))[0]);
}

}  // namespace
}  // namespace pgduet
