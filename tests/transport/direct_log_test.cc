#include "transport/direct_log.h"

#include <thread>

#include <gtest/gtest.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr absl::Duration kLong = absl::Seconds(30);  // only a failure waits this long

class DirectLogTest : public testing::Test {
 protected:
  static constexpr size_t kQueueBytes = 100;
  std::shared_ptr<DirectLog> log_ =
      DirectLog::Create([] { return LogTail{.sequence = 7}; }, kQueueBytes);

  // The next entry's bytes, or "nothing".
  static std::string Next(LogReader& reader, absl::Duration timeout = kLong) {
    const auto entry = reader.Next(timeout);
    EXPECT_TRUE(entry.ok()) << entry.status();
    return entry.ok() && *entry ? (*entry)->bytes : "nothing";
  }
};

TEST_F(DirectLogTest, EntriesComeInOrderWithOffsetsThatGrow) {
  auto reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  ASSERT_TRUE(writer->Append("a").ok());
  ASSERT_TRUE(writer->Append("b").ok());
  const auto first = reader->Next(kLong), second = reader->Next(kLong);
  EXPECT_EQ((*first)->bytes, "a");
  EXPECT_EQ((*second)->bytes, "b");
  EXPECT_EQ((*second)->offset, (*first)->offset + 1);
  EXPECT_EQ(Next(*reader, absl::ZeroDuration()), "nothing");
}

TEST_F(DirectLogTest, TheTailIsTheReadersDatabase) {
  EXPECT_EQ((*log_->OpenWriter()->ReadTail())->sequence, 7u);
}

TEST_F(DirectLogTest, AFullLogSaysSoUntilTheReaderTakes) {
  auto reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  ASSERT_TRUE(writer->Append(std::string(90, 'x')).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(writer->Append(std::string(11, 'y'))));
  EXPECT_EQ(writer->AppendedCount(), 1u);
  Next(*reader);
  EXPECT_TRUE(writer->Append(std::string(11, 'y')).ok());
}

TEST_F(DirectLogTest, ARecordLargerThanTheLogIsLetIntoAnEmptyOne) {
  auto writer = log_->OpenWriter();
  EXPECT_TRUE(writer->Append(std::string(10 * kQueueBytes, 'x')).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(writer->Append("y")));
}

TEST_F(DirectLogTest, DurableIsWhatTheReaderHasApplied) {
  auto reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  for (const char* bytes : {"a", "b", "c"}) ASSERT_TRUE(writer->Append(bytes).ok());
  EXPECT_EQ(writer->DurableCount(), 0u);
  const int64_t offset = (*reader->Next(kLong))->offset;
  EXPECT_EQ(writer->DurableCount(), 0u);
  reader->Applied(offset, Lsn(1));
  EXPECT_EQ(writer->DurableCount(), 1u);
  reader->Applied(offset + 2, Lsn(3));
  reader->Applied(offset + 1, Lsn(2));  // late news do not set it back
  EXPECT_EQ(writer->DurableCount(), 3u);
}

TEST_F(DirectLogTest, WhatAnEarlierWriterAppendedIsNotTheNextOnes) {
  auto reader = log_->OpenReader();
  auto first = log_->OpenWriter();
  ASSERT_TRUE(first->Append("a").ok());
  auto second = log_->OpenWriter();
  ASSERT_TRUE(second->Append("b").ok());
  const int64_t offset = (*reader->Next(kLong))->offset;
  reader->Applied(offset, Lsn(1));
  EXPECT_EQ(second->DurableCount(), 0u);
  reader->Applied(offset + 1, Lsn(1));
  EXPECT_EQ(second->DurableCount(), 1u);
}

TEST_F(DirectLogTest, ANewWriterEndsTheOldOne) {
  auto first = log_->OpenWriter();
  auto second = log_->OpenWriter();
  EXPECT_EQ(ErrorName(first->Append("a")), "log_writer_lost");
  EXPECT_EQ(ErrorName(first->Wait(absl::ZeroDuration())), "log_writer_lost");
  EXPECT_TRUE(second->Append("a").ok());
}

TEST_F(DirectLogTest, ANewReaderEndsTheOldOneAndAWriterThatHasBegun) {
  auto old_reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  ASSERT_TRUE(writer->Append("a").ok());
  auto reader = log_->OpenReader();
  EXPECT_TRUE(absl::IsCancelled(old_reader->Next(kLong).status()));
  EXPECT_EQ(ErrorName(writer->Append("b")), "log_writer_lost");
  // What was on its way is gone; the next writer sends it again.
  EXPECT_EQ(Next(*reader, absl::ZeroDuration()), "nothing");
  EXPECT_TRUE(log_->OpenWriter()->Append("a").ok());
  EXPECT_EQ(Next(*reader), "a");
}

TEST_F(DirectLogTest, AWriterThatHasSentNothingSurvivesANewReader) {
  auto writer = log_->OpenWriter();
  auto reader = log_->OpenReader();
  EXPECT_TRUE(writer->Append("a").ok());
  EXPECT_EQ(Next(*reader), "a");
}

TEST_F(DirectLogTest, AnInterruptEndsTheWaitAndStays) {
  auto reader = log_->OpenReader();
  std::jthread interrupter([&] { reader->Interrupt(); });
  EXPECT_EQ(Next(*reader), "nothing");
  ASSERT_TRUE(log_->OpenWriter()->Append("a").ok());
  EXPECT_EQ(Next(*reader), "nothing");
}

TEST_F(DirectLogTest, AWriterThatWaitsIsWokenByProgress) {
  auto reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  ASSERT_TRUE(writer->Append("a").ok());
  const int64_t offset = (*reader->Next(kLong))->offset;
  ASSERT_TRUE(writer->Append("b").ok());
  std::jthread applier([&] { reader->Applied(offset, Lsn(1)); });
  while (writer->DurableCount() == 0) ASSERT_TRUE(writer->Wait(kLong).ok());
  EXPECT_EQ(writer->DurableCount(), 1u);
}

TEST_F(DirectLogTest, AReaderThatWaitsIsWokenByTheWritersWait) {
  auto reader = log_->OpenReader();
  auto writer = log_->OpenWriter();
  std::jthread capture([&] {
    ASSERT_TRUE(writer->Append("a").ok());
    ASSERT_TRUE(writer->Append("b").ok());
    EXPECT_TRUE(writer->HoldsBack());
    ASSERT_TRUE(writer->Wait(absl::ZeroDuration()).ok());
    EXPECT_FALSE(writer->HoldsBack());
  });
  EXPECT_EQ(Next(*reader), "a");
  EXPECT_EQ(Next(*reader), "b");
}

TEST_F(DirectLogTest, AReaderThatWaitsHearsOfTheLastEntriesOfAWriterThatGoes) {
  auto reader = log_->OpenReader();
  std::jthread capture([writer = log_->OpenWriter()] { ASSERT_TRUE(writer->Append("a").ok()); });
  EXPECT_EQ(Next(*reader), "a");
}

TEST_F(DirectLogTest, ManyRecordsPassThroughASmallLogWholeAndInOrder) {
  constexpr int kRecords = 5'000;
  auto reader = log_->OpenReader();
  std::jthread capture([writer = log_->OpenWriter()] {
    for (int i = 0; i < kRecords;) {
      const absl::Status status = writer->Append(std::to_string(i));
      if (status.ok()) ++i;
      if (absl::IsResourceExhausted(status)) (void)writer->Wait(absl::Milliseconds(5));
    }
  });
  for (int i = 0; i < kRecords; ++i) ASSERT_EQ(Next(*reader), std::to_string(i));
}

}  // namespace
}  // namespace pgduet
