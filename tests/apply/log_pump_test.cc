#include "apply/log_pump.h"

#include <gtest/gtest.h>

#include "base/named_error.h"
#include "schemas/record_codec.h"
#include "tests/schemas/record_samples.h"
#include "transport/direct_log.h"

namespace pgduet {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);  // only a failure waits this long

class LogPumpTest : public testing::Test {
 protected:
  LogPump Pump(size_t queue_bytes_max = 1 << 20) {
    return LogPump(std::move(reader_),
                   RecordStream({.group = "shop",
                                 .origin = "us-east",
                                 .set = "main",
                                 .rank = 1,
                                 .policy_hash = 0x1122334455667788,
                                 .policy_text = ""},
                                Position{}),
                   queue_bytes_max, "us-east");
  }
  void Append(const Record& record) { AppendBytes(EncodeRecord(record)[0]); }
  void AppendBytes(std::string bytes) { ASSERT_TRUE(writer_->Append(std::move(bytes)).ok()); }

  std::shared_ptr<DirectLog> log_ = DirectLog::Create([] { return std::optional<LogTail>(); });
  std::unique_ptr<LogReader> reader_ = log_->OpenReader();
  std::unique_ptr<LogWriter> writer_ = log_->OpenWriter();
};

TEST_F(LogPumpTest, GivesTheEventsOfTheLogInOrderAndNoDuplicates) {
  Append(SampleTransaction(1));
  Append(SampleTransaction(1));
  Append(SampleTransaction(2));
  Append(SampleHeartbeat(2));
  LogPump pump = Pump();
  EXPECT_EQ(pump.Pop(kLong)->event.record.header.sequence, 1u);
  EXPECT_EQ(pump.Pop(kLong)->event.record.header.sequence, 2u);
  EXPECT_EQ(pump.Pop(kLong)->event.kind, StreamEventKind::kHeartbeat);
}

TEST_F(LogPumpTest, AnErrorIsTheLastItem) {
  Append(SampleTransaction(1));
  AppendBytes("not a record");
  Append(SampleTransaction(2));
  LogPump pump = Pump();
  EXPECT_TRUE(pump.Pop(kLong)->status.ok());
  EXPECT_EQ(ErrorName(pump.Pop(kLong)->status), "corrupt_record");
  EXPECT_FALSE(pump.Pop(absl::Milliseconds(1)).has_value());
}

TEST_F(LogPumpTest, AFullQueueHoldsTheReading) {
  for (uint64_t sequence = 1; sequence <= 5; ++sequence) Append(SampleTransaction(sequence));
  LogPump pump = Pump(/*queue_bytes_max=*/1);
  for (uint64_t sequence = 1; sequence <= 5; ++sequence) {
    const auto item = pump.Pop(kLong);
    ASSERT_TRUE(item.has_value());
    EXPECT_EQ(item->event.record.header.sequence, sequence);
    EXPECT_LE(pump.queued_bytes(), item->bytes);
  }
}

TEST_F(LogPumpTest, EndsWhileItsQueueIsFullAndWhileItsLogIsEmpty) {
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) Append(SampleTransaction(sequence));
  {
    LogPump pump = Pump(/*queue_bytes_max=*/1);
    EXPECT_TRUE(pump.Pop(kLong).has_value());
  }
  reader_ = log_->OpenReader();
  LogPump idle = Pump();
  EXPECT_FALSE(idle.TryPop().has_value());
}

TEST_F(LogPumpTest, TellsTheLogWhatIsApplied) {
  Append(SampleTransaction(1));
  LogPump pump = Pump();
  const auto item = pump.Pop(kLong);
  EXPECT_EQ(writer_->DurableCount(), 0u);
  pump.Applied(item->event.offset, Lsn(1));
  EXPECT_EQ(writer_->DurableCount(), 1u);
}

}  // namespace
}  // namespace pgduet
