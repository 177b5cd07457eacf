// librdkafka's handles as owned objects, the configuration that all our clients share, and its
// errors as named ones.
//
// User properties (kafka.properties in the configuration) are laid over our defaults; those that
// continuity rests on are refused: forbidden_property. Unknown or malformed ones: invalid_property.
//
// Threads: librdkafka logs from its own threads (to base/log.h); error callbacks run inside poll.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <librdkafka/rdkafka.h>

namespace pgduet {

struct KafkaOptions {
  std::string brokers;                            // host:port,host:port
  std::map<std::string, std::string> properties;  // the user's, for librdkafka
  std::string client_id = "pgduet";
  absl::Duration network_timeout = absl::Seconds(10);  // of one question to the brokers
};

template <auto Destroy>
struct KafkaDeleter {
  template <typename T>
  void operator()(T* object) const {
    Destroy(object);
  }
};
using KafkaHandle = std::unique_ptr<rd_kafka_t, KafkaDeleter<rd_kafka_destroy>>;
using KafkaConf = std::unique_ptr<rd_kafka_conf_t, KafkaDeleter<rd_kafka_conf_destroy>>;
using KafkaTopic = std::unique_ptr<rd_kafka_topic_t, KafkaDeleter<rd_kafka_topic_destroy>>;
using KafkaQueue = std::unique_ptr<rd_kafka_queue_t, KafkaDeleter<rd_kafka_queue_destroy>>;
using KafkaEvent = std::unique_ptr<rd_kafka_event_t, KafkaDeleter<rd_kafka_event_destroy>>;
using KafkaMessage = std::unique_ptr<rd_kafka_message_t, KafkaDeleter<rd_kafka_message_destroy>>;
using KafkaPartitions = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                        KafkaDeleter<rd_kafka_topic_partition_list_destroy>>;

// OK, or forbidden_property naming the first property that the user may not set.
absl::Status CheckKafkaProperties(const std::map<std::string, std::string>& properties);

// Our defaults, the user's properties, then `fixed`, which nobody overrides.
absl::StatusOr<KafkaConf> NewKafkaConf(const KafkaOptions& options,
                                       const std::map<std::string, std::string>& defaults,
                                       const std::map<std::string, std::string>& fixed);

// Takes the configuration over.
absl::StatusOr<KafkaHandle> NewKafkaHandle(rd_kafka_type_t type, KafkaConf conf);

// The named error of a librdkafka error; `what` says what failed, with the topic.
absl::Status KafkaStatus(rd_kafka_resp_err_t error, std::string_view what,
                         std::string_view detail = {});
absl::Status BrokerUnreachable(const std::string& brokers, std::string_view detail);
absl::Status PositionLost(std::string_view what);

struct Watermarks {
  int64_t low = 0;   // first offset that the log still has
  int64_t high = 0;  // one past the last
};
absl::StatusOr<Watermarks> QueryWatermarks(rd_kafka_t* handle, const KafkaOptions& options,
                                           const std::string& topic);

// Asks the brokers what they know of the topic. Errors: topic_missing, topic_forbidden,
// broker_unreachable.
absl::StatusOr<int> CountPartitions(rd_kafka_t* handle, const KafkaOptions& options,
                                    const std::string& topic, absl::Duration timeout);

// Closes and destroys a consumer on a thread of its own and waits for that, but not for ever:
// librdkafka 2.0.2 never ends a consumer whose topic was deleted while it read. Such a client is
// left behind, with a warning. It goes on calling its callbacks on that thread: `opaque` is what
// they use, and lives as long as the client. Messages and queues of the client must be gone before:
// it does not end while one is held.
void CloseConsumer(KafkaHandle handle, std::shared_ptr<const void> opaque);
// How many clients this process has left behind.
int ClientsLeftBehind();

int ToMilliseconds(absl::Duration duration);

// A list of this topic's partition 0 at an offset.
KafkaPartitions SinglePartition(const std::string& topic, int64_t offset);

}  // namespace pgduet
