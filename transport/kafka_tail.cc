#include "transport/kafka_tail.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record_codec.h"
#include "schemas/record_pack.h"

namespace pgduet {
namespace {

constexpr int64_t kFirstStep = 64;
constexpr int64_t kStepGrowth = 4;

struct Seen {
  uint64_t writer_epoch = 0;
  std::optional<LogTail> tail;  // of a complete record
};

LogTail TailOf(RawRecord raw) {
  const RecordHeader& header = raw.header;
  LogTail tail;
  tail.sequence = header.sequence;
  if (header.sequence != 0) {
    tail.last =
        Position{header.incarnation, header.sequence, header.commit_lsn, header.commit_time};
  }
  tail.through_lsn = header.through_lsn;
  tail.incarnation = header.incarnation;
  tail.vector = std::move(raw.vector);
  return tail;
}

// The last complete record that readers take: an older writer's records after a newer one's are
// nothing to them.
const LogTail* LastTaken(const std::vector<Seen>& records) {
  const LogTail* last = nullptr;
  uint64_t epoch = 0;
  for (const Seen& record : records) {
    if (record.writer_epoch < epoch) continue;
    epoch = record.writer_epoch;
    if (record.tail) last = &*record.tail;
  }
  return last;
}

class TailReader {
 public:
  explicit TailReader(const KafkaLogOptions& options) : options_(options) {}

  absl::StatusOr<std::optional<LogTail>> Read() {
    PGDUET_RETURN_IF_ERROR(Start());
    PGDUET_ASSIGN_OR_RETURN(const Watermarks marks,
                            QueryWatermarks(handle_.get(), options_.kafka, options_.topic));
    if (marks.low == marks.high) {
      if (marks.high == 0) return std::nullopt;
      return TailLost();
    }
    PGDUET_RETURN_IF_ERROR(ReadBackwards(marks));
    LogTail tail;
    if (const LogTail* last = LastTaken(records_)) {
      tail = *last;
    } else if (marks.low > 0) {
      return TailLost();
    }
    for (const Seen& record : records_)
      tail.writer_epoch = std::max(tail.writer_epoch, record.writer_epoch);
    return tail;
  }

 private:
  absl::Status Start() {
    PGDUET_ASSIGN_OR_RETURN(
        KafkaConf conf,
        NewKafkaConf(
            options_.kafka,
            // After the last record of a range the consumer asks for more, and the next range waits
            // behind that question: half a second by default.
            {{"fetch.error.backoff.ms", "20"},
             {"fetch.wait.max.ms", "10"},
             {"queued.max.messages.kbytes", "16384"}},
            {{"auto.offset.reset", "error"},
             {"check.crcs", "true"},
             {"enable.auto.commit", "false"},
             {"enable.auto.offset.store", "false"},
             {"enable.partition.eof", "true"},
             {"group.id", options_.consumer_group.empty() ? "pgduet" : options_.consumer_group}}));
    PGDUET_ASSIGN_OR_RETURN(handle_, NewKafkaHandle(RD_KAFKA_CONSUMER, std::move(conf)));
    rd_kafka_poll_set_consumer(handle_.get());
    return absl::OkStatus();
  }

  absl::Status TailLost() const {
    return PositionLost(
        fmt::format("topic no longer holds its last complete record: topic={}", options_.topic));
  }

  // In growing steps, until a complete record is found and before it as much as a woken writer may
  // have had queued: so a newer writer's record that makes it void is seen too.
  absl::Status ReadBackwards(const Watermarks& marks) {
    int64_t begin = marks.high;
    for (int64_t step = kFirstStep; begin > marks.low; step *= kStepGrowth) {
      const int64_t end = begin;
      begin = std::max(marks.low, begin - step);
      PGDUET_RETURN_IF_ERROR(ReadRange(begin, end));
      if (bytes_ > options_.queue_bytes_max && LastTaken(records_) != nullptr) break;
    }
    return absl::OkStatus();
  }

  // Puts the records of [begin, end) before those read so far.
  absl::Status ReadRange(int64_t begin, int64_t end) {
    const auto error = rd_kafka_assign(handle_.get(), SinglePartition(options_.topic, begin).get());
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
      return KafkaStatus(error, "assign the topic's partition");
    std::vector<Seen> range;
    absl::Time deadline = absl::Now() + options_.kafka.network_timeout;
    for (int64_t next = begin; next < end;) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration())
        return BrokerUnreachable(options_.kafka.brokers, "no records in time");
      const KafkaMessage message(rd_kafka_consumer_poll(handle_.get(), ToMilliseconds(left)));
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) break;
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        PGDUET_RETURN_IF_ERROR(StatusOf(*message));
        continue;
      }
      if (message->offset >= end) break;
      next = message->offset + 1;
      PGDUET_RETURN_IF_ERROR(Take(*message, range));
      deadline = absl::Now() + options_.kafka.network_timeout;
    }
    range.insert(range.end(), std::make_move_iterator(records_.begin()),
                 std::make_move_iterator(records_.end()));
    records_ = std::move(range);
    return absl::OkStatus();
  }

  absl::Status StatusOf(const rd_kafka_message_t& message) const {
    if (message.err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) return TailLost();
    const absl::Status status =
        KafkaStatus(message.err, fmt::format("read the end of a topic: topic={}", options_.topic),
                    rd_kafka_message_errstr(&message));
    // Transient: librdkafka tries again, the deadline holds.
    return absl::IsUnavailable(status) ? absl::OkStatus() : status;
  }

  absl::Status Take(const rd_kafka_message_t& message, std::vector<Seen>& range) {
    bytes_ += message.len;
    for (const std::string_view bytes :
         RecordsOf({static_cast<const char*>(message.payload), message.len})) {
      auto raw = DecodeEnvelope(bytes);
      absl::Status status = raw.ok() ? CheckOwner(raw->header) : raw.status();
      if (!status.ok()) {
        return WithContext(status, fmt::format("read the end of a topic: topic={} offset={}",
                                               options_.topic, message.offset));
      }
      range.push_back(SeenIn(*std::move(raw)));
    }
    return absl::OkStatus();
  }

  static Seen SeenIn(RawRecord raw) {
    const RecordHeader& header = raw.header;
    const bool complete =
        (header.kind == RecordKind::kTransaction || header.kind == RecordKind::kHeartbeat) &&
        header.last && raw.has_vector && header.fragment + 1 == header.fragments;
    Seen seen{.writer_epoch = header.writer_epoch};
    if (complete) seen.tail = TailOf(std::move(raw));
    return seen;
  }

  absl::Status CheckOwner(const RecordHeader& header) const {
    const bool group_differs = header.group != options_.group;
    if (!group_differs && header.origin == options_.origin && header.set == options_.set) {
      return absl::OkStatus();
    }
    return NamedError(absl::StatusCode::kFailedPrecondition,
                      group_differs ? "foreign_group" : "foreign_origin",
                      fmt::format("topic holds another's records: expected={}/{}/{} found={}/{}/{}",
                                  options_.group, options_.origin, options_.set, header.group,
                                  header.origin, header.set),
                      "Check kafka.brokers and the names of group and region in the configuration; "
                      "a topic belongs to one region.");
  }

  const KafkaLogOptions& options_;
  KafkaHandle handle_;
  std::vector<Seen> records_;
  size_t bytes_ = 0;
};

}  // namespace

absl::StatusOr<std::optional<LogTail>> ReadKafkaTail(const KafkaLogOptions& options) {
  return TailReader(options).Read();
}

}  // namespace pgduet
