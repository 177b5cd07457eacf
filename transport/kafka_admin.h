// Creates topics with the settings that pgduet needs, and judges those that exist.
//
// One thread; blocks on the network for at most KafkaOptions::network_timeout a question.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "transport/kafka_client.h"

namespace pgduet {

struct TopicSettings {
  // How long a peer may be away. InfiniteDuration: for ever (-1).
  absl::Duration retention = absl::Hours(24 * 7);
  int replication_factor = -1;  // -1: the brokers' default
};

class KafkaAdmin {
 public:
  static absl::StatusOr<std::unique_ptr<KafkaAdmin>> Open(KafkaOptions options);

  // One partition, cleanup.policy=delete, the retention, messages as large as our records. A topic
  // that exists is left as it is and is OK. Returns when the brokers know the topic. Errors:
  // broker_unreachable, topic_forbidden, topic_replication_factor.
  absl::Status CreateTopic(const std::string& topic, const TopicSettings& settings);

  // Everything that is wrong with the topic, each with the command that mends it; empty: nothing.
  // Names: topic_missing, topic_partition_count, topic_retention_too_small, topic_cleanup_policy,
  // topic_message_size_too_small, broker_unreachable, topic_forbidden.
  std::vector<absl::Status> CheckTopic(const std::string& topic, absl::Duration retention_min);

  absl::Status DeleteTopic(const std::string& topic);

  // Until every broker that we ask knows the topic; topic_missing when that takes too long.
  absl::Status WaitUntilKnown(const std::string& topic);

 private:
  KafkaAdmin(KafkaOptions options, KafkaHandle handle);
  using TopicConfig = std::map<std::string, std::string>;
  absl::StatusOr<TopicConfig> DescribeTopic(const std::string& topic);
  absl::StatusOr<KafkaEvent> WaitFor(rd_kafka_queue_t* queue) const;

  const KafkaOptions options_;
  KafkaHandle handle_;
};

}  // namespace pgduet
