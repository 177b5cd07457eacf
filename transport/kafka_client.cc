#include "transport/kafka_client.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"

namespace pgduet {
namespace {

constexpr size_t kErrorBytes = 512;

// Order, durability and the reader's position rest on these.
constexpr std::array kForbidden = {
    "acks",
    "allow.auto.create.topics",
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "check.crcs",
    "delivery.timeout.ms",
    "dr_cb",
    "dr_msg_cb",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "error_cb",
    "group.id",
    "group.instance.id",
    "isolation.level",
    "log_cb",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "opaque",
    "partitioner",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queuing.strategy",
    "request.required.acks",
    "retries",
    "test.mock.num.brokers",
    "transactional.id",
};

void OnLog(const rd_kafka_t*, int level, const char* facility, const char* text) {
  // A broker that is away is told by error_cb and /status; librdkafka repeats it at each attempt.
  // Properties of the other kind of client are not worth a word: one map serves producer and
  // consumer.
  constexpr int kWarning = 4;
  const std::string_view what(facility);
  if (level > kWarning || what == "FAIL" || what == "CONFWARN") {
    LogDebug("transport", "kafka client spoke", {{"facility", std::string(what)}, {"text", text}});
  } else {
    LogWarning("transport", "kafka client spoke",
               {{"facility", std::string(what)}, {"text", text}});
  }
}

absl::Status Set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  char error[kErrorBytes] = "";
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof(error)) ==
      RD_KAFKA_CONF_OK) {
    return absl::OkStatus();
  }
  // librdkafka's text may quote the value, which may be a password.
  return NamedError(
      absl::StatusCode::kInvalidArgument, "invalid_property",
      fmt::format("kafka property is unknown or has a wrong value: property={}", name),
      "Correct it under kafka.properties; librdkafka's CONFIGURATION.md lists all properties.");
}

absl::Status SetAll(rd_kafka_conf_t* conf, const std::map<std::string, std::string>& properties) {
  for (const auto& [name, value] : properties) PGDUET_RETURN_IF_ERROR(Set(conf, name, value));
  return absl::OkStatus();
}

struct ErrorRow {
  rd_kafka_resp_err_t error;
  absl::StatusCode code;
  std::string_view name;
  std::string_view remedy;
};
constexpr std::string_view kCheckAccess =
    "Grant this client's principal the right on the topic (kafka-acls.sh --add), or correct "
    "kafka.properties.";
constexpr std::array kErrors = {
    ErrorRow{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, absl::StatusCode::kFailedPrecondition,
             "topic_missing", "Run 'pgduet init', which creates the topic."},
    ErrorRow{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, absl::StatusCode::kFailedPrecondition,
             "topic_missing", "Run 'pgduet init', which creates the topic."},
    ErrorRow{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, absl::StatusCode::kFailedPrecondition,
             "topic_missing", "Run 'pgduet init', which creates the topic."},
    ErrorRow{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, absl::StatusCode::kFailedPrecondition,
             "topic_forbidden", kCheckAccess},
    ErrorRow{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, absl::StatusCode::kFailedPrecondition,
             "topic_forbidden", kCheckAccess},
    ErrorRow{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, absl::StatusCode::kFailedPrecondition,
             "topic_forbidden", kCheckAccess},
    ErrorRow{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, absl::StatusCode::kFailedPrecondition,
             "broker_authentication_failed", "Correct sasl.* under kafka.properties."},
    ErrorRow{RD_KAFKA_RESP_ERR__AUTHENTICATION, absl::StatusCode::kFailedPrecondition,
             "broker_authentication_failed", "Correct sasl.* under kafka.properties."},
    ErrorRow{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, absl::StatusCode::kFailedPrecondition,
             "topic_message_size_too_small",
             "Raise the topic's max.message.bytes: 'pgduet check' tells the command."},
    ErrorRow{RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, absl::StatusCode::kFailedPrecondition,
             "topic_replication_factor",
             "Choose a replication factor of at most the number of brokers."},
    ErrorRow{RD_KAFKA_RESP_ERR_POLICY_VIOLATION, absl::StatusCode::kFailedPrecondition,
             "topic_forbidden",
             "Create the topic with the brokers' administrator, by the settings that 'pgduet "
             "check' tells."},
};

std::atomic<int> left_behind = 0;

}  // namespace

absl::Status CheckKafkaProperties(const std::map<std::string, std::string>& properties) {
  for (const auto& [name, value] : properties) {
    if (std::find(kForbidden.begin(), kForbidden.end(), name) == kForbidden.end()) continue;
    return NamedError(
        absl::StatusCode::kInvalidArgument, "forbidden_property",
        fmt::format("kafka property may not be set, pgduet's promises rest on it: property={}",
                    name),
        "Remove it from kafka.properties.");
  }
  return absl::OkStatus();
}

absl::StatusOr<KafkaConf> NewKafkaConf(const KafkaOptions& options,
                                       const std::map<std::string, std::string>& defaults,
                                       const std::map<std::string, std::string>& fixed) {
  PGDUET_RETURN_IF_ERROR(CheckKafkaProperties(options.properties));
  KafkaConf conf(rd_kafka_conf_new());
  rd_kafka_conf_set_log_cb(conf.get(), OnLog);
  const std::map<std::string, std::string> shared = {
      {"client.id", options.client_id},     {"log.connection.close", "false"},
      {"reconnect.backoff.max.ms", "1000"}, {"reconnect.backoff.ms", "50"},
      {"socket.keepalive.enable", "true"},  {"socket.nagle.disable", "true"},
      {"broker.address.ttl", "1000"},       {"retry.backoff.ms", "50"},
  };
  PGDUET_RETURN_IF_ERROR(SetAll(conf.get(), shared));
  PGDUET_RETURN_IF_ERROR(SetAll(conf.get(), defaults));
  PGDUET_RETURN_IF_ERROR(SetAll(conf.get(), options.properties));
  PGDUET_RETURN_IF_ERROR(Set(conf.get(), "bootstrap.servers", options.brokers));
  PGDUET_RETURN_IF_ERROR(SetAll(conf.get(), fixed));
  return conf;
}

absl::StatusOr<KafkaHandle> NewKafkaHandle(rd_kafka_type_t type, KafkaConf conf) {
  char error[kErrorBytes] = "";
  KafkaHandle handle(rd_kafka_new(type, conf.get(), error, sizeof(error)));
  if (handle == nullptr) {
    return NamedError(absl::StatusCode::kInvalidArgument, "invalid_property",
                      fmt::format("kafka client cannot be made: {}", error),
                      "Correct kafka.brokers and kafka.properties.");
  }
  [[maybe_unused]] auto* taken_over = conf.release();
  return handle;
}

absl::Status BrokerUnreachable(const std::string& brokers, std::string_view detail) {
  return NamedError(
      absl::StatusCode::kUnavailable, "broker_unreachable",
      fmt::format("kafka brokers do not answer: brokers={} detail={}", brokers, detail),
      "Check that the brokers run, that kafka.brokers is right and that the network lets us "
      "through.");
}

absl::Status KafkaStatus(rd_kafka_resp_err_t error, std::string_view what,
                         std::string_view detail) {
  const std::string text = fmt::format(
      "{}: {}", what, detail.empty() ? std::string_view(rd_kafka_err2str(error)) : detail);
  for (const ErrorRow& row : kErrors) {
    if (row.error == error) return NamedError(row.code, row.name, text, row.remedy);
  }
  return NamedError(
      absl::StatusCode::kUnavailable, "broker_unreachable", text,
      "Check that the brokers run and are reachable; the agent tries again by itself.");
}

absl::Status PositionLost(std::string_view what) {
  return NamedError(
      absl::StatusCode::kDataLoss, "position_lost", what,
      "The topic was recreated, or its retention is shorter than the time away: attach this region "
      "again from a peer.");
}

absl::StatusOr<Watermarks> QueryWatermarks(rd_kafka_t* handle, const KafkaOptions& options,
                                           const std::string& topic) {
  Watermarks marks;
  const auto error = rd_kafka_query_watermark_offsets(
      handle, topic.c_str(), 0, &marks.low, &marks.high, ToMilliseconds(options.network_timeout));
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return marks;
  if (error == RD_KAFKA_RESP_ERR__TIMED_OUT || error == RD_KAFKA_RESP_ERR__TRANSPORT) {
    return BrokerUnreachable(options.brokers, rd_kafka_err2str(error));
  }
  return KafkaStatus(error, fmt::format("ask for the ends of a topic: topic={}", topic));
}

absl::StatusOr<int> CountPartitions(rd_kafka_t* handle, const KafkaOptions& options,
                                    const std::string& topic, absl::Duration timeout) {
  const KafkaTopic topic_handle(rd_kafka_topic_new(handle, topic.c_str(), nullptr));
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle, 0, topic_handle.get(), &raw, ToMilliseconds(timeout));
  const std::unique_ptr<const rd_kafka_metadata_t, KafkaDeleter<rd_kafka_metadata_destroy>>
      metadata(raw);
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    return BrokerUnreachable(options.brokers, rd_kafka_err2str(error));
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    if (topic != metadata->topics[i].topic) continue;
    const rd_kafka_resp_err_t found = metadata->topics[i].err;
    if (found == RD_KAFKA_RESP_ERR_NO_ERROR || found == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) {
      return metadata->topics[i].partition_cnt;
    }
    return KafkaStatus(found, fmt::format("look for a topic: topic={}", topic));
  }
  return KafkaStatus(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                     fmt::format("look for a topic: topic={}", topic));
}

int ClientsLeftBehind() { return left_behind; }

void CloseConsumer(KafkaHandle handle, std::shared_ptr<const void> opaque) {
  constexpr std::chrono::seconds kPatience{5};
  auto closed = std::make_shared<std::promise<void>>();
  std::future<void> done = closed->get_future();
  std::thread closer([client = handle.release(), closed, kept = std::move(opaque)] {
    NameThisThread("kafka close");
    rd_kafka_consumer_close(client);
    rd_kafka_destroy(client);
    closed->set_value();
  });
  if (done.wait_for(kPatience) == std::future_status::ready) {
    closer.join();
    return;
  }
  closer.detach();
  ++left_behind;
  LogWarning("transport", "kafka client left behind",
             {{"reason", "it does not end; its topic was deleted"}});
}

int ToMilliseconds(absl::Duration duration) {
  const int64_t milliseconds =
      absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1)));
  return static_cast<int>(std::clamp<int64_t>(milliseconds, 0, INT32_MAX));
}

KafkaPartitions SinglePartition(const std::string& topic, int64_t offset) {
  KafkaPartitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), 0)->offset = offset;
  return list;
}

}  // namespace pgduet
