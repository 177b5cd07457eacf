// What the tests on a real broker share: its address (tests/with_kafka.sh), topics of their own,
// waiting on conditions.
#pragma once

#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include <absl/time/clock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "schemas/record_codec.h"
#include "tests/schemas/record_samples.h"
#include "transport/kafka_admin.h"
#include "transport/kafka_log.h"

namespace pgduet {

constexpr absl::Duration kPatience = absl::Seconds(60);

class KafkaTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* brokers = std::getenv("PGDUET_TEST_KAFKA");
    ASSERT_NE(brokers, nullptr)
        << "run me as: tests/with_kafka.sh build/dev/tests/transport_kafka_test";
    options_.kafka.brokers = brokers;
    options_.kafka.network_timeout = absl::Seconds(30);
    options_.group = "shop";
    options_.origin = "us-east";
    options_.set = "main";
    static std::atomic<int> number = 0;
    options_.topic = "pgduet.test." + std::to_string(getpid()) + "." + std::to_string(++number);
    auto admin = KafkaAdmin::Open(options_.kafka);
    ASSERT_TRUE(admin.ok()) << admin.status();
    admin_ = *std::move(admin);
  }

  void CreateTopic(const TopicSettings& settings = {}) {
    const absl::Status created = admin_->CreateTopic(options_.topic, settings);
    ASSERT_TRUE(created.ok()) << created;
  }

  std::unique_ptr<KafkaLogWriter> NewWriter() {
    auto writer = KafkaLogWriter::Open(options_);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return *std::move(writer);
  }

  std::unique_ptr<KafkaLogReader> NewReader(int64_t offset) {
    auto reader = KafkaLogReader::Open(options_);
    EXPECT_TRUE(reader.ok()) << reader.status();
    const absl::Status sought = (*reader)->Seek(offset);
    EXPECT_TRUE(sought.ok()) << sought;
    return *std::move(reader);
  }

  // Each in a message of its own.
  static void Append(LogWriter& writer, const Record& record) {
    for (std::string& piece : EncodeRecord(record)) {
      const absl::Status appended = writer.Append(std::move(piece));
      ASSERT_TRUE(appended.ok()) << appended;
      Flush(writer);
    }
  }

  // Until all that was appended is durable.
  static void Flush(LogWriter& writer) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (writer.DurableCount() < writer.AppendedCount()) {
      ASSERT_LT(absl::Now(), deadline) << "not durable in time";
      const absl::Status waited = writer.Wait(absl::Milliseconds(200));
      ASSERT_TRUE(waited.ok()) << waited;
    }
  }

  static LogEntry NextOf(LogReader& reader) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      auto entry = reader.Next(absl::Seconds(1));
      EXPECT_TRUE(entry.ok()) << entry.status();
      if (!entry.ok()) return {};
      if (entry->has_value()) return **std::move(entry);
    }
    ADD_FAILURE() << "no entry in time";
    return {};
  }

  // The first error that Next() gives.
  static absl::Status ErrorOf(LogReader& reader) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      const auto entry = reader.Next(absl::Milliseconds(200));
      if (!entry.ok()) return entry.status();
    }
    return absl::OkStatus();
  }

  // Puts a topic with settings that ours would not have.
  void CreateRawTopic(int partitions, const std::map<std::string, std::string>& settings);
  // Deletes the records before this offset, as retention does.
  void ForgetBefore(int64_t offset);

  KafkaLogOptions options_;
  std::unique_ptr<KafkaAdmin> admin_;
};

inline void KafkaTest::CreateRawTopic(int partitions,
                                      const std::map<std::string, std::string>& settings) {
  char error[256];
  const KafkaHandle handle(rd_kafka_new(
      RD_KAFKA_PRODUCER, NewKafkaConf(options_.kafka, {}, {})->release(), error, sizeof(error)));
  const std::unique_ptr<rd_kafka_NewTopic_t, KafkaDeleter<rd_kafka_NewTopic_destroy>> topic(
      rd_kafka_NewTopic_new(options_.topic.c_str(), partitions, 1, error, sizeof(error)));
  for (const auto& [name, value] : settings)
    rd_kafka_NewTopic_set_config(topic.get(), name.c_str(), value.c_str());
  const KafkaQueue queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_NewTopic_t* topics[] = {topic.get()};
  rd_kafka_CreateTopics(handle.get(), topics, 1, nullptr, queue.get());
  const KafkaEvent event(rd_kafka_queue_poll(queue.get(), ToMilliseconds(kPatience)));
  ASSERT_NE(event, nullptr);
  size_t count = 0;
  const auto* results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  ASSERT_EQ(count, 1u);
  ASSERT_EQ(rd_kafka_topic_result_error(results[0]), RD_KAFKA_RESP_ERR_NO_ERROR)
      << rd_kafka_topic_result_error_string(results[0]);
  ASSERT_TRUE(admin_->WaitUntilKnown(options_.topic).ok());
}

inline void KafkaTest::ForgetBefore(int64_t offset) {
  char error[256];
  const KafkaHandle handle(rd_kafka_new(
      RD_KAFKA_PRODUCER, NewKafkaConf(options_.kafka, {}, {})->release(), error, sizeof(error)));
  const KafkaPartitions before = SinglePartition(options_.topic, offset);
  const std::unique_ptr<rd_kafka_DeleteRecords_t, KafkaDeleter<rd_kafka_DeleteRecords_destroy>>
      request(rd_kafka_DeleteRecords_new(before.get()));
  const KafkaQueue queue(rd_kafka_queue_new(handle.get()));
  rd_kafka_DeleteRecords_t* requests[] = {request.get()};
  rd_kafka_DeleteRecords(handle.get(), requests, 1, nullptr, queue.get());
  const KafkaEvent event(rd_kafka_queue_poll(queue.get(), ToMilliseconds(kPatience)));
  ASSERT_NE(event, nullptr);
  ASSERT_EQ(rd_kafka_event_error(event.get()), RD_KAFKA_RESP_ERR_NO_ERROR)
      << rd_kafka_event_error_string(event.get());
}

}  // namespace pgduet
