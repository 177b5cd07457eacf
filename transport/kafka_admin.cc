#include "transport/kafka_admin.h"

#include <charconv>
#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record.h"

namespace pgduet {
namespace {

constexpr int64_t kMessageBytesMin = kRecordBytesMax + 64 * 1024;  // room for Kafka's own framing
constexpr int64_t kMessageBytesCreated = 2 * 1024 * 1024;

using AdminOptions =
    std::unique_ptr<rd_kafka_AdminOptions_t, KafkaDeleter<rd_kafka_AdminOptions_destroy>>;
using NewTopic = std::unique_ptr<rd_kafka_NewTopic_t, KafkaDeleter<rd_kafka_NewTopic_destroy>>;
using OldTopic =
    std::unique_ptr<rd_kafka_DeleteTopic_t, KafkaDeleter<rd_kafka_DeleteTopic_destroy>>;
using ConfigResource =
    std::unique_ptr<rd_kafka_ConfigResource_t, KafkaDeleter<rd_kafka_ConfigResource_destroy>>;

std::string RetentionText(absl::Duration retention) {
  return retention == absl::InfiniteDuration()
             ? "-1"
             : std::to_string(absl::ToInt64Milliseconds(retention));
}

std::map<std::string, std::string> SettingsOf(const TopicSettings& settings) {
  return {{"cleanup.policy", "delete"},
          {"retention.ms", RetentionText(settings.retention)},
          {"retention.bytes", "-1"},
          {"max.message.bytes", std::to_string(kMessageBytesCreated)}};
}

AdminOptions OptionsFor(rd_kafka_t* handle, rd_kafka_admin_op_t operation, absl::Duration timeout) {
  AdminOptions options(rd_kafka_AdminOptions_new(handle, operation));
  char error[256];
  rd_kafka_AdminOptions_set_request_timeout(options.get(), ToMilliseconds(timeout), error,
                                            sizeof(error));
  if (operation == RD_KAFKA_ADMIN_OP_CREATETOPICS || operation == RD_KAFKA_ADMIN_OP_DELETETOPICS) {
    // Wait until the brokers have done it.
    rd_kafka_AdminOptions_set_operation_timeout(options.get(), ToMilliseconds(timeout), error,
                                                sizeof(error));
  }
  return options;
}

int64_t NumberOf(const std::map<std::string, std::string>& config, const std::string& name,
                 int64_t otherwise) {
  const auto found = config.find(name);
  if (found == config.end()) return otherwise;
  int64_t value = otherwise;
  std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

std::string AlterCommand(const KafkaOptions& options, const std::string& topic,
                         std::string_view setting) {
  return fmt::format(
      "kafka-configs.sh --bootstrap-server {} --alter --entity-type topics --entity-name {} "
      "--add-config {}",
      options.brokers, topic, setting);
}

absl::Status Problem(std::string_view name, std::string_view what, std::string_view remedy) {
  return NamedError(absl::StatusCode::kFailedPrecondition, name, what, remedy);
}

}  // namespace

KafkaAdmin::KafkaAdmin(KafkaOptions options, KafkaHandle handle)
    : options_(std::move(options)), handle_(std::move(handle)) {}

absl::StatusOr<std::unique_ptr<KafkaAdmin>> KafkaAdmin::Open(KafkaOptions options) {
  // A consumer: a producer's question about a topic can create it.
  PGDUET_ASSIGN_OR_RETURN(
      KafkaConf conf,
      NewKafkaConf(options, {}, {{"allow.auto.create.topics", "false"}, {"group.id", "pgduet"}}));
  PGDUET_ASSIGN_OR_RETURN(KafkaHandle handle, NewKafkaHandle(RD_KAFKA_CONSUMER, std::move(conf)));
  return std::unique_ptr<KafkaAdmin>(new KafkaAdmin(std::move(options), std::move(handle)));
}

absl::StatusOr<KafkaEvent> KafkaAdmin::WaitFor(rd_kafka_queue_t* queue) const {
  // librdkafka ends the request by its own timeout; the margin is for the answer to reach us.
  KafkaEvent event(
      rd_kafka_queue_poll(queue, ToMilliseconds(options_.network_timeout + absl::Seconds(5))));
  if (event == nullptr) return BrokerUnreachable(options_.brokers, "no answer in time");
  const rd_kafka_resp_err_t error = rd_kafka_event_error(event.get());
  if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return event;
  return KafkaStatus(error, fmt::format("ask the brokers: brokers={}", options_.brokers),
                     rd_kafka_event_error_string(event.get()));
}

// The controller has it; a broker that we ask next may take a moment to hear of it.
absl::Status KafkaAdmin::WaitUntilKnown(const std::string& topic) {
  constexpr absl::Duration kPause = absl::Milliseconds(50);
  const absl::Time deadline = absl::Now() + options_.network_timeout;
  while (true) {
    absl::Status known =
        CountPartitions(handle_.get(), options_, topic, options_.network_timeout).status();
    if (known.ok()) known = DescribeTopic(topic).status();
    if (ErrorName(known) != "topic_missing" || absl::Now() > deadline) return known;
    absl::SleepFor(kPause);
  }
}

absl::Status KafkaAdmin::CreateTopic(const std::string& topic, const TopicSettings& settings) {
  char error[512] = "";
  const NewTopic wanted(
      rd_kafka_NewTopic_new(topic.c_str(), 1, settings.replication_factor, error, sizeof(error)));
  if (wanted == nullptr) {
    return Problem("topic_replication_factor",
                   fmt::format("topic cannot be described: topic={} {}", topic, error),
                   "Correct the topic's name and replication factor.");
  }
  for (const auto& [name, value] : SettingsOf(settings)) {
    rd_kafka_NewTopic_set_config(wanted.get(), name.c_str(), value.c_str());
  }
  const AdminOptions options =
      OptionsFor(handle_.get(), RD_KAFKA_ADMIN_OP_CREATETOPICS, options_.network_timeout);
  const KafkaQueue queue(rd_kafka_queue_new(handle_.get()));
  rd_kafka_NewTopic_t* topics[] = {wanted.get()};
  rd_kafka_CreateTopics(handle_.get(), topics, 1, options.get(), queue.get());
  PGDUET_ASSIGN_OR_RETURN(const KafkaEvent event, WaitFor(queue.get()));
  size_t count = 0;
  const auto* results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t result = rd_kafka_topic_result_error(results[i]);
    if (result == RD_KAFKA_RESP_ERR_NO_ERROR || result == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS)
      continue;
    const char* detail = rd_kafka_topic_result_error_string(results[i]);
    return KafkaStatus(result, fmt::format("create a topic: topic={}", topic),
                       detail == nullptr ? "" : detail);
  }
  return WaitUntilKnown(topic);
}

absl::Status KafkaAdmin::DeleteTopic(const std::string& topic) {
  const OldTopic unwanted(rd_kafka_DeleteTopic_new(topic.c_str()));
  const AdminOptions options =
      OptionsFor(handle_.get(), RD_KAFKA_ADMIN_OP_DELETETOPICS, options_.network_timeout);
  const KafkaQueue queue(rd_kafka_queue_new(handle_.get()));
  rd_kafka_DeleteTopic_t* topics[] = {unwanted.get()};
  rd_kafka_DeleteTopics(handle_.get(), topics, 1, options.get(), queue.get());
  PGDUET_ASSIGN_OR_RETURN(const KafkaEvent event, WaitFor(queue.get()));
  size_t count = 0;
  const auto* results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event.get()), &count);
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t result = rd_kafka_topic_result_error(results[i]);
    if (result == RD_KAFKA_RESP_ERR_NO_ERROR || result == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
      continue;
    return KafkaStatus(result, fmt::format("delete a topic: topic={}", topic));
  }
  return absl::OkStatus();
}

absl::StatusOr<KafkaAdmin::TopicConfig> KafkaAdmin::DescribeTopic(const std::string& topic) {
  const ConfigResource resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  const AdminOptions options =
      OptionsFor(handle_.get(), RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, options_.network_timeout);
  const KafkaQueue queue(rd_kafka_queue_new(handle_.get()));
  rd_kafka_ConfigResource_t* resources[] = {resource.get()};
  rd_kafka_DescribeConfigs(handle_.get(), resources, 1, options.get(), queue.get());
  PGDUET_ASSIGN_OR_RETURN(const KafkaEvent event, WaitFor(queue.get()));
  size_t count = 0;
  const auto* results = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  TopicConfig config;
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t error = rd_kafka_ConfigResource_error(results[i]);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      return KafkaStatus(error, fmt::format("read a topic's settings: topic={}", topic));
    }
    size_t entry_count = 0;
    const auto* entries = rd_kafka_ConfigResource_configs(results[i], &entry_count);
    for (size_t j = 0; j < entry_count; ++j) {
      const char* value = rd_kafka_ConfigEntry_value(entries[j]);
      config[rd_kafka_ConfigEntry_name(entries[j])] = value == nullptr ? "" : value;
    }
  }
  return config;
}

std::vector<absl::Status> KafkaAdmin::CheckTopic(const std::string& topic,
                                                 absl::Duration retention_min) {
  const auto partitions = CountPartitions(handle_.get(), options_, topic, options_.network_timeout);
  if (!partitions.ok()) return {partitions.status()};
  const auto config = DescribeTopic(topic);
  if (!config.ok()) return {config.status()};

  std::vector<absl::Status> problems;
  const auto add = [&](std::string_view name, std::string_view what, std::string_view setting) {
    problems.push_back(Problem(name, what, "Run: " + AlterCommand(options_, topic, setting)));
  };
  if (*partitions != 1) {
    problems.push_back(
        Problem("topic_partition_count",
                fmt::format("topic must have exactly one partition: topic={} partitions={}", topic,
                            *partitions),
                fmt::format("If nothing uses it yet, delete it (kafka-topics.sh --bootstrap-server "
                            "{} --delete --topic {}) "
                            "and run 'pgduet init'.",
                            options_.brokers, topic)));
  }
  const auto policy = config->find("cleanup.policy");
  if (policy == config->end() || policy->second != "delete") {
    add("topic_cleanup_policy",
        fmt::format("topic must not be compacted: topic={} cleanup.policy={}", topic,
                    policy == config->end() ? "unknown" : policy->second),
        "cleanup.policy=delete");
  }
  const int64_t retention = NumberOf(*config, "retention.ms", 0);
  const bool for_ever = retention == -1;
  if (!for_ever && absl::Milliseconds(retention) < retention_min) {
    add("topic_retention_too_small",
        fmt::format("topic forgets records too soon: topic={} retention.ms={} required={}", topic,
                    retention, RetentionText(retention_min)),
        "retention.ms=" + RetentionText(retention_min));
  }
  if (const int64_t bytes = NumberOf(*config, "retention.bytes", -1); bytes != -1) {
    add("topic_retention_too_small",
        fmt::format("topic forgets records by size: topic={} retention.bytes={}", topic, bytes),
        "retention.bytes=-1");
  }
  if (const int64_t bytes = NumberOf(*config, "max.message.bytes", 0); bytes < kMessageBytesMin) {
    add("topic_message_size_too_small",
        fmt::format("topic does not take our records: topic={} max.message.bytes={} required={}",
                    topic, bytes, kMessageBytesMin),
        fmt::format("max.message.bytes={}", kMessageBytesCreated));
  }
  return problems;
}

}  // namespace pgduet
