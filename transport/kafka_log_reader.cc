#include <algorithm>

#include <fmt/format.h>

#include "base/named_error.h"
#include "transport/kafka_log.h"

namespace pgduet {
namespace {

constexpr std::chrono::seconds kCommitInterval{1};
// While nothing comes; a topic that is in use has a heartbeat each second.
constexpr std::chrono::seconds kTopicCheckInterval{3};
constexpr absl::Duration kTopicCheckPatience = absl::Seconds(1);
// Next() looks at Interrupt() at least this often, should a wake-up be lost between two polls.
constexpr absl::Duration kPollMax = absl::Milliseconds(200);
// A broker that has just become leader may not know its high watermark yet.
constexpr absl::Duration kWatermarkPatience = absl::Seconds(3);
// What librdkafka keeps ready.
constexpr size_t kQueueKiB = 16 * 1024;
// Less than that since the last question to the leader cannot have filled it.
constexpr size_t kAskAfterBytes = kQueueKiB * 1024 / 2;

}  // namespace

KafkaLogReader::KafkaLogReader(KafkaLogOptions options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<KafkaLogReader>> KafkaLogReader::Open(KafkaLogOptions options) {
  std::unique_ptr<KafkaLogReader> reader(new KafkaLogReader(std::move(options)));
  PGDUET_RETURN_IF_ERROR(reader->Start());
  return reader;
}

absl::Status KafkaLogReader::Start() {
  const std::map<std::string, std::string> defaults = {
      {"fetch.error.backoff.ms", "20"},
      {"fetch.message.max.bytes", std::to_string(8 * 1024 * 1024)},
      {"queued.max.messages.kbytes", std::to_string(kQueueKiB)},
      {"queued.min.messages", "100000"},
  };
  const std::map<std::string, std::string> fixed = {
      {"auto.offset.reset", "error"},
      {"check.crcs", "true"},
      {"enable.auto.commit", "false"},
      {"enable.auto.offset.store", "false"},
      {"group.id", options_.consumer_group.empty() ? "pgduet" : options_.consumer_group},
  };
  PGDUET_ASSIGN_OR_RETURN(KafkaConf conf, NewKafkaConf(options_.kafka, defaults, fixed));
  reports_->brokers = options_.kafka.brokers;
  rd_kafka_conf_set_opaque(conf.get(), reports_.get());
  rd_kafka_conf_set_error_cb(conf.get(), OnError);
  PGDUET_ASSIGN_OR_RETURN(handle_, NewKafkaHandle(RD_KAFKA_CONSUMER, std::move(conf)));
  rd_kafka_poll_set_consumer(handle_.get());
  queue_.reset(rd_kafka_queue_get_consumer(handle_.get()));
  return absl::OkStatus();
}

KafkaLogReader::~KafkaLogReader() {
  // A client does not end while somebody holds a message or a queue of it.
  records_.clear();
  message_.reset();
  queue_.reset();
  if (handle_ != nullptr) CloseConsumer(std::move(handle_), reports_);
}

absl::Status KafkaLogReader::Seek(int64_t offset) {
  (void)reports_->Take();
  records_.clear();
  next_record_ = 0;
  topic_seen_at_ = std::chrono::steady_clock::now();
  PGDUET_ASSIGN_OR_RETURN(const int64_t begin, PlaceOf(offset));
  const auto error = rd_kafka_assign(handle_.get(), SinglePartition(options_.topic, begin).get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return absl::OkStatus();
  return KafkaStatus(error, fmt::format("assign a topic's partition: topic={}", options_.topic));
}

// One before the offset where the log still has that: the stream must know the last applied
// record's writer, or what an older one left behind it would look like a gap.
absl::StatusOr<int64_t> KafkaLogReader::PlaceOf(int64_t offset) {
  const absl::Time deadline = absl::Now() + kWatermarkPatience;
  while (true) {
    PGDUET_ASSIGN_OR_RETURN(const Watermarks marks,
                            QueryWatermarks(handle_.get(), options_.kafka, options_.topic));
    // By number: for "the beginning" librdkafka asks again, half a second after it knows the
    // leader.
    if (offset < 0) return marks.low;
    if (marks.low <= offset && offset <= marks.high) return std::max(marks.low, offset - 1);
    if (offset < marks.low || absl::Now() > deadline) {
      return PositionLost(fmt::format(
          "topic does not reach to the position read so far: topic={} position={} first={} end={}",
          options_.topic, offset, marks.low, marks.high));
    }
  }
}

absl::StatusOr<std::optional<LogEntry>> KafkaLogReader::Next(absl::Duration timeout) {
  CommitApplied();
  const absl::Time deadline = absl::Now() + timeout;
  while (true) {
    if (interrupted_.exchange(false)) return std::nullopt;
    if (std::optional<LogEntry> entry = NextRecord()) return entry;
    EndPauseOfFullQueue();
    const absl::Duration wait = std::clamp(deadline - absl::Now(), absl::ZeroDuration(), kPollMax);
    KafkaMessage message(rd_kafka_consumer_poll(handle_.get(), ToMilliseconds(wait)));
    PGDUET_RETURN_IF_ERROR(reports_->Take());
    if (message != nullptr) {
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) return StatusOf(*message);
      topic_seen_at_ = std::chrono::steady_clock::now();
      message_ = std::move(message);
      taken_bytes_ += message_->len;
      records_ = RecordsOf({static_cast<const char*>(message_->payload), message_->len});
      next_record_ = 0;
      continue;
    }
    PGDUET_RETURN_IF_ERROR(CheckTopicExists());
    if (absl::Now() >= deadline) return std::nullopt;
  }
}

// A full queue makes librdkafka 2.0.2 stop fetching; its broker thread looks for room again when
// something wakes it, or after a second (issue 2879 of librdkafka; from 2.2.0 on there is
// fetch.queue.backoff.ms). A backlog of large rows would move at a queue a second. A question to
// the leader wakes that thread; the answer is of no interest, and an error comes with the next
// poll. Only when the queue has run dry: what was read from it is still being applied then.
void KafkaLogReader::EndPauseOfFullQueue() {
  if (taken_bytes_ < kAskAfterBytes || rd_kafka_queue_length(queue_.get()) > 0) return;
  taken_bytes_ = 0;
  (void)QueryWatermarks(handle_.get(), options_.kafka, options_.topic);
}

// Only the last record of a message moves the reader beyond it: one that stopped before reads the
// message again, and its stream drops what is applied.
std::optional<LogEntry> KafkaLogReader::NextRecord() {
  if (next_record_ == records_.size()) return std::nullopt;
  LogEntry entry{.offset = message_->offset, .bytes = std::string(records_[next_record_++])};
  if (next_record_ < records_.size()) --entry.offset;
  return entry;
}

// librdkafka 2.0.2 does not tell when a topic that it reads is deleted: nothing comes, for ever.
// Other errors of this question are told by the stream itself.
absl::Status KafkaLogReader::CheckTopicExists() {
  const auto now = std::chrono::steady_clock::now();
  if (now - topic_seen_at_ < kTopicCheckInterval) return absl::OkStatus();
  topic_seen_at_ = now;
  absl::Status found =
      CountPartitions(handle_.get(), options_.kafka, options_.topic, kTopicCheckPatience).status();
  return ErrorName(found) == "topic_missing" ? found : absl::OkStatus();
}

absl::Status KafkaLogReader::StatusOf(const rd_kafka_message_t& message) const {
  const std::string_view detail = rd_kafka_message_errstr(&message);
  if (message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
      message.err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
    return PositionLost(fmt::format("topic no longer holds the next position: topic={} detail={}",
                                    options_.topic, detail));
  }
  return KafkaStatus(message.err, fmt::format("read a topic: topic={}", options_.topic), detail);
}

absl::Status KafkaLogReader::Reports::Take() {
  std::scoped_lock lock(mutex);
  return std::exchange(pending, absl::OkStatus());
}

void KafkaLogReader::OnError(rd_kafka_t* handle, int error, const char* reason, void* opaque) {
  auto& reports = *static_cast<Reports*>(opaque);
  std::scoped_lock lock(reports.mutex);
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
    reports.pending = BrokerUnreachable(reports.brokers, reason);
  } else if (error == RD_KAFKA_RESP_ERR__FATAL) {
    char detail[512] = "";
    const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(handle, detail, sizeof(detail));
    reports.pending = KafkaStatus(cause, "kafka consumer failed for good", detail);
  }
}

void KafkaLogReader::Applied(int64_t offset, Lsn) {
  int64_t known = applied_offset_;
  while (known < offset && !applied_offset_.compare_exchange_weak(known, offset)) {
  }
}

// Fire and forget: nothing of ours reads it back.
void KafkaLogReader::CommitApplied() {
  const int64_t applied = applied_offset_;
  if (options_.consumer_group.empty() || applied <= committed_offset_) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - committed_at_ < kCommitInterval) return;
  committed_at_ = now;
  committed_offset_ = applied;
  rd_kafka_commit(handle_.get(), SinglePartition(options_.topic, applied + 1).get(), /*async=*/1);
}

void KafkaLogReader::Interrupt() {
  interrupted_ = true;
  rd_kafka_queue_yield(queue_.get());
}

}  // namespace pgduet
