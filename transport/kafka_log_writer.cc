#include <algorithm>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record.h"
#include "schemas/sidecar.h"
#include "transport/kafka_log.h"
#include "transport/kafka_tail.h"

namespace pgduet {
namespace {

constexpr absl::Duration kCausePatience = absl::Seconds(1);
// As many requests as an idempotent producer may have on its way. librdkafka 2.0.2 polls without a
// pause while it has a message that it may not send yet.
constexpr size_t kOnTheirWayMax = 5;
// Of messages that are not full: one, and it leaves this much after the one before. A request costs
// the broker and both clients far more than a record does, and on busy processors that is what
// records wait for. At 1,000 transactions/s each way on two cores 1.5 ms gave a higher median, 0.7
// ms a higher 99th percentile. Who sends less often than that does not notice.
constexpr size_t kSmallOnTheirWayMax = 1;
constexpr absl::Duration kPause = absl::Milliseconds(1);

bool IsLost(const absl::Status& status) { return ErrorName(status) == "log_writer_lost"; }

}  // namespace

std::string TopicName(std::string_view group, std::string_view region, std::string_view set) {
  return fmt::format("pgduet.{}.{}.{}", group, region, set);
}

std::string ConflictTopicName(std::string_view group, std::string_view region,
                              std::string_view set) {
  if (set == kMainSet) return TopicName(group, region, "conflicts");
  return TopicName(group, region, set) + ".conflicts";
}

KafkaLogWriter::KafkaLogWriter(KafkaLogOptions options) : options_(std::move(options)) {}

absl::StatusOr<std::unique_ptr<KafkaLogWriter>> KafkaLogWriter::Open(KafkaLogOptions options) {
  std::unique_ptr<KafkaLogWriter> writer(new KafkaLogWriter(std::move(options)));
  PGDUET_RETURN_IF_ERROR(writer->Start());
  return writer;
}

absl::Status KafkaLogWriter::Start() {
  const std::map<std::string, std::string> defaults = {{"linger.ms", "0"}};
  const std::map<std::string, std::string> fixed = {
      {"acks", "all"},
      {"enable.idempotence", "true"},
      // A message that fails for good stops all after it: no gap in the topic.
      {"enable.gapless.guarantee", "true"},
      {"message.max.bytes", std::to_string(kRecordBytesMax + 64 * 1024)},
      {"message.timeout.ms", "0"},
      {"queue.buffering.max.kbytes", std::to_string(options_.queue_bytes_max / 512 + 4096)},
      {"queue.buffering.max.messages", "1000000"},
  };
  PGDUET_ASSIGN_OR_RETURN(KafkaConf conf, NewKafkaConf(options_.kafka, defaults, fixed));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), OnDelivery);
  rd_kafka_conf_set_error_cb(conf.get(), OnError);
  PGDUET_ASSIGN_OR_RETURN(handle_, NewKafkaHandle(RD_KAFKA_PRODUCER, std::move(conf)));
  topic_.reset(rd_kafka_topic_new(handle_.get(), options_.topic.c_str(), nullptr));
  if (topic_ != nullptr) return absl::OkStatus();
  return KafkaStatus(rd_kafka_last_error(), fmt::format("open a topic: topic={}", options_.topic));
}

KafkaLogWriter::~KafkaLogWriter() {
  if (handle_ == nullptr) return;
  // Payloads are ours: librdkafka must have let go of them before they die.
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
  topic_.reset();
  handle_.reset();
}

absl::Status KafkaLogWriter::Append(std::string record) {
  PGDUET_RETURN_IF_ERROR(status_);
  const size_t queued = queued_bytes_ + next_.bytes();
  if (queued > 0 && queued + record.size() > options_.queue_bytes_max) {
    return absl::ResourceExhaustedError("producer queue is full");
  }
  if (!next_.Add(record)) {
    CloseNext();
    next_.Add(record);
  }
  ++appended_;
  return next_.bytes() < kPackBytesTarget ? absl::OkStatus() : Send();
}

void KafkaLogWriter::CloseNext() {
  const uint32_t records = next_.records();
  full_.push_back({next_.Take(), records});
  queued_bytes_ += full_.back().bytes.size();
}

// As many as may be on their way; the rest gathers in the next message meanwhile.
absl::Status KafkaLogWriter::Send() {
  while (status_.ok() && HoldsBack() && pending_.size() < OnTheirWayMax() && !Gathers()) {
    if (full_.empty()) CloseNext();
    pending_.push_back(std::move(full_.front()));
    full_.pop_front();
    sent_at_ = absl::Now();
    std::string& payload = pending_.back().bytes;
    if (rd_kafka_produce(topic_.get(), 0, /*msgflags=*/0, payload.data(), payload.size(), nullptr,
                         0, nullptr) != 0) {
      // Not for want of room: librdkafka's own bounds lie above ours.
      Failed(KafkaStatus(rd_kafka_last_error(),
                         fmt::format("append to a topic: topic={}", options_.topic)));
    }
  }
  return status_;
}

bool KafkaLogWriter::IsNextSmall() const {
  return full_.empty() && next_.bytes() < kPackBytesTarget;
}

size_t KafkaLogWriter::OnTheirWayMax() const {
  return IsNextSmall() ? kSmallOnTheirWayMax : kOnTheirWayMax;
}

bool KafkaLogWriter::Gathers() const { return IsNextSmall() && absl::Now() - sent_at_ < kPause; }

absl::Status KafkaLogWriter::Wait(absl::Duration timeout) {
  const bool was_ok = status_.ok();
  (void)Send();
  if (Gathers()) timeout = std::min(timeout, kPause);
  // Serves what has arrived, or waits for the first event: a delivery, or an error.
  rd_kafka_poll(handle_.get(), was_ok ? ToMilliseconds(timeout) : 0);
  if (was_ok && IsLost(status_)) HearTheCause();
  return Send();
}

// The report of the record that was refused may come after the error that it led to.
void KafkaLogWriter::HearTheCause() {
  const absl::Time deadline = absl::Now() + kCausePatience;
  while (IsLost(status_) && rd_kafka_outq_len(handle_.get()) > 0 && absl::Now() < deadline) {
    rd_kafka_poll(handle_.get(), 10);
  }
}

absl::StatusOr<std::optional<LogTail>> KafkaLogWriter::ReadTail() {
  return ReadKafkaTail(options_);
}

void KafkaLogWriter::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  static_cast<KafkaLogWriter*>(self)->Delivered(*message);
}

void KafkaLogWriter::Delivered(const rd_kafka_message_t& message) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    Failed(KafkaStatus(message.err, fmt::format("append to a topic: topic={}", options_.topic)));
    return;
  }
  if (!status_.ok()) return;
  // Reports of one partition come in order, so this one is the oldest pending record's. If it is
  // not, order is lost.
  if (pending_.empty() || message.payload != pending_.front().bytes.data()) {
    Failed(NamedError(absl::StatusCode::kUnavailable, "log_writer_lost",
                      fmt::format("kafka acknowledged out of order: topic={}", options_.topic)));
    return;
  }
  broker_up_ = true;
  queued_bytes_ -= pending_.front().bytes.size();
  durable_ += pending_.front().records;
  pending_.pop_front();
}

void KafkaLogWriter::OnError(rd_kafka_t* handle, int error, const char* reason, void* self) {
  auto& writer = *static_cast<KafkaLogWriter*>(self);
  if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) writer.broker_up_ = false;
  if (error != RD_KAFKA_RESP_ERR__FATAL) return;
  char detail[512] = "";
  const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(handle, detail, sizeof(detail));
  const absl::Status named =
      KafkaStatus(cause, "kafka producer failed for good", detail[0] ? detail : reason);
  writer.Failed(
      absl::IsUnavailable(named)
          ? Renamed(named, absl::StatusCode::kUnavailable, "log_writer_lost",
                    "The agent makes a new producer and continues from the topic's tail by itself.")
          : named);
}

// The first failure stays: what is pending may or may not be in the topic. But what somebody has to
// mend says more than the loss that it led to.
void KafkaLogWriter::Failed(absl::Status status) {
  const bool tells_the_cause = IsLost(status_) && absl::IsFailedPrecondition(status);
  if (status_.ok() || tells_the_cause) status_ = std::move(status);
}

}  // namespace pgduet
