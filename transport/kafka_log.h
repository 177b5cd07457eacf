// A region's log as a Kafka topic with one partition. Options and contract of both ends; the
// settings of the topic itself are kafka_admin.h's.
//
// Continuity rests on nothing of Kafka's but the order within the partition: the writer is
// idempotent with acks=all and stops for good at its first failed message (make a new one and
// continue from the tail); the reader keeps its position in its database, never in a consumer
// group, and is told position_lost rather than moved elsewhere.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "schemas/record_pack.h"
#include "transport/kafka_client.h"
#include "transport/log.h"

namespace pgduet {

// pgduet.<group>.<region>.<set>
std::string TopicName(std::string_view group, std::string_view region, std::string_view set);
// Of the conflict log, for others than pgduet.
std::string ConflictTopicName(std::string_view group, std::string_view region,
                              std::string_view set);

struct KafkaLogOptions {
  KafkaOptions kafka;
  std::string topic;
  std::string group;
  std::string origin;  // the region whose log this is
  std::string set;
  // Writer: what is appended and not durable, at most (one record is always let in).
  size_t queue_bytes_max = 16 * 1024 * 1024;
  // Reader: where Applied() is committed for lag tools, and the group.id of its requests; empty:
  // not committed.
  std::string consumer_group;
};

// Threads: one (the capture thread). Destroying it gives up what is not durable yet: that may or
// may not reach the topic.
class KafkaLogWriter : public LogWriter {
 public:
  // Does not wait for the brokers. Errors: forbidden_property, invalid_property.
  static absl::StatusOr<std::unique_ptr<KafkaLogWriter>> Open(KafkaLogOptions options);
  ~KafkaLogWriter() override;

  // Errors after the first failed message: log_writer_lost (Unavailable), or the named error of
  // what the broker refused.
  absl::Status Append(std::string record) override;
  absl::Status Wait(absl::Duration timeout) override;
  bool HoldsBack() const override { return !full_.empty() || !next_.empty(); }
  uint64_t AppendedCount() const override { return appended_; }
  uint64_t DurableCount() const override { return durable_; }
  // Errors: broker_unreachable, topic_missing, position_lost (the topic was emptied),
  // foreign_group, foreign_origin, and those of DecodeEnvelope.
  absl::StatusOr<std::optional<LogTail>> ReadTail() override;

  // False from the moment that no broker is connected until the next acknowledgement.
  bool broker_up() const { return broker_up_; }

 private:
  explicit KafkaLogWriter(KafkaLogOptions options);
  absl::Status Start();
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self);
  static void OnError(rd_kafka_t* handle, int error, const char* reason, void* self);
  void Delivered(const rd_kafka_message_t& message);
  void Failed(absl::Status status);
  void CloseNext();
  bool IsNextSmall() const;
  size_t OnTheirWayMax() const;
  bool Gathers() const;
  absl::Status Send();
  void HearTheCause();

  const KafkaLogOptions options_;
  struct Message {
    std::string bytes;
    uint32_t records = 0;
  };
  // In order: what is on its way (librdkafka refers to it: outlives the handle), what waits to be
  // sent, and what the next message will hold.
  std::deque<Message> pending_;
  std::deque<Message> full_;
  RecordPack next_;
  size_t queued_bytes_ = 0;                    // of pending_ and full_
  absl::Time sent_at_ = absl::InfinitePast();  // the last message
  uint64_t appended_ = 0;
  uint64_t durable_ = 0;
  bool broker_up_ = true;
  absl::Status status_;
  KafkaTopic topic_;
  KafkaHandle handle_;
};

// Threads: one reads; Interrupt() and Applied() from any.
class KafkaLogReader : public LogReader {
 public:
  // Does not wait for the brokers. Errors: forbidden_property, invalid_property.
  static absl::StatusOr<std::unique_ptr<KafkaLogReader>> Open(KafkaLogOptions options);
  ~KafkaLogReader() override;

  // Errors: broker_unreachable, topic_missing, position_lost.
  absl::Status Seek(int64_t offset) override;
  absl::StatusOr<std::optional<LogEntry>> Next(absl::Duration timeout) override;
  void Applied(int64_t offset, Lsn through_lsn) override;
  void Interrupt() override;

 private:
  explicit KafkaLogReader(KafkaLogOptions options);
  absl::Status Start();
  // What librdkafka reports beside messages. Outlives the reader when its client does.
  struct Reports {
    std::string brokers;
    std::mutex mutex;
    absl::Status pending;
    absl::Status Take();
  };
  static void OnError(rd_kafka_t* handle, int error, const char* reason, void* opaque);
  absl::StatusOr<int64_t> PlaceOf(int64_t offset);
  std::optional<LogEntry> NextRecord();
  void EndPauseOfFullQueue();
  absl::Status StatusOf(const rd_kafka_message_t& message) const;
  void CommitApplied();
  absl::Status CheckTopicExists();

  const KafkaLogOptions options_;
  KafkaHandle handle_;
  KafkaQueue queue_;  // wakes Next()
  // The message whose records are being handed out, and those that are left, in order.
  KafkaMessage message_;
  std::vector<std::string_view> records_;
  size_t next_record_ = 0;
  size_t taken_bytes_ = 0;  // since EndPauseOfFullQueue() last asked
  const std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
  std::atomic<bool> interrupted_ = false;
  std::atomic<int64_t> applied_offset_ = -1;
  int64_t committed_offset_ = -1;
  std::chrono::steady_clock::time_point committed_at_;
  std::chrono::steady_clock::time_point topic_seen_at_;
};

}  // namespace pgduet
