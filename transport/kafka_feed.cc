#include "transport/kafka_feed.h"

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {

KafkaFeed::KafkaFeed(KafkaOptions options, std::string topic)
    : options_(std::move(options)), topic_name_(std::move(topic)) {}

absl::StatusOr<std::unique_ptr<KafkaFeed>> KafkaFeed::Open(KafkaOptions options,
                                                           std::string topic) {
  std::unique_ptr<KafkaFeed> feed(new KafkaFeed(std::move(options), std::move(topic)));
  PGDUET_RETURN_IF_ERROR(feed->Start());
  return feed;
}

absl::Status KafkaFeed::Start() {
  const std::map<std::string, std::string> fixed = {
      {"acks", "all"},
      {"enable.idempotence", "true"},
      {"message.timeout.ms", std::to_string(ToMilliseconds(options_.network_timeout))},
  };
  PGDUET_ASSIGN_OR_RETURN(KafkaConf conf,
                          NewKafkaConf(options_, {{"message.max.bytes", "16777216"}}, fixed));
  rd_kafka_conf_set_opaque(conf.get(), this);
  rd_kafka_conf_set_dr_msg_cb(conf.get(), OnDelivery);
  PGDUET_ASSIGN_OR_RETURN(handle_, NewKafkaHandle(RD_KAFKA_PRODUCER, std::move(conf)));
  topic_.reset(rd_kafka_topic_new(handle_.get(), topic_name_.c_str(), nullptr));
  if (topic_ != nullptr) return absl::OkStatus();
  return KafkaStatus(rd_kafka_last_error(), fmt::format("open a topic: topic={}", topic_name_));
}

KafkaFeed::~KafkaFeed() {
  if (handle_ == nullptr) return;
  rd_kafka_purge(handle_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
                                    RD_KAFKA_PURGE_F_NON_BLOCKING);
  topic_.reset();
  handle_.reset();
}

absl::Status KafkaFeed::Send(const std::vector<FeedMessage>& messages) {
  const std::string what = fmt::format("send to a topic: topic={}", topic_name_);
  for (const FeedMessage& one : messages) {
    while (rd_kafka_produce(topic_.get(), RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                            const_cast<char*>(one.value.data()), one.value.size(), one.key.data(),
                            one.key.size(), nullptr) != 0) {
      const rd_kafka_resp_err_t error = rd_kafka_last_error();
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) return KafkaStatus(error, what);
      rd_kafka_poll(handle_.get(), 100);
      PGDUET_RETURN_IF_ERROR(status_);
    }
  }
  const auto error =
      rd_kafka_flush(handle_.get(), ToMilliseconds(options_.network_timeout + absl::Seconds(1)));
  PGDUET_RETURN_IF_ERROR(status_);
  return error == RD_KAFKA_RESP_ERR_NO_ERROR
             ? absl::OkStatus()
             : BrokerUnreachable(options_.brokers, rd_kafka_err2str(error));
}

void KafkaFeed::OnDelivery(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
  auto& feed = *static_cast<KafkaFeed*>(self);
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || !feed.status_.ok()) return;
  feed.status_ =
      message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
          ? BrokerUnreachable(feed.options_.brokers, rd_kafka_err2str(message->err))
          : KafkaStatus(message->err, fmt::format("send to a topic: topic={}", feed.topic_name_));
}

}  // namespace pgduet
