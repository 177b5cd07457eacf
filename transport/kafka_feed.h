// Messages for others than pgduet: key and value as they are, to a topic of any number of
// partitions. At least once: what was not acknowledged is sent again by the caller.
//
// One thread. Blocks on the network for at most KafkaOptions::network_timeout.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "transport/kafka_client.h"

namespace pgduet {

struct FeedMessage {
  std::string key;
  std::string value;
};

class KafkaFeed {
 public:
  // Does not wait for the brokers. Errors: forbidden_property, invalid_property.
  static absl::StatusOr<std::unique_ptr<KafkaFeed>> Open(KafkaOptions options, std::string topic);
  ~KafkaFeed();

  // Returns when all are acknowledged by all replicas. Errors: broker_unreachable, topic_missing,
  // topic_forbidden; some of them may have arrived then. Make a new one after an error.
  absl::Status Send(const std::vector<FeedMessage>& messages);

 private:
  KafkaFeed(KafkaOptions options, std::string topic);
  absl::Status Start();
  static void OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self);

  const KafkaOptions options_;
  const std::string topic_name_;
  absl::Status status_;
  KafkaTopic topic_;
  KafkaHandle handle_;
};

}  // namespace pgduet
