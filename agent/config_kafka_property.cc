// CheckKafkaProperty and IsSecretKafkaProperty: see config_settings.h.
#include <algorithm>
#include <array>

#include <librdkafka/rdkafka.h>

#include "agent/config_settings.h"

namespace pgduet {

std::optional<SettingFault> CheckKafkaProperty(const std::string& name, const std::string& value) {
  constexpr std::array<std::string_view, 14> kOurs = {"acks",
                                                      "request.required.acks",
                                                      "enable.idempotence",
                                                      "auto.offset.reset",
                                                      "bootstrap.servers",
                                                      "metadata.broker.list",
                                                      "enable.auto.commit",
                                                      "enable.auto.offset.store",
                                                      "group.id",
                                                      "transactional.id",
                                                      "isolation.level",
                                                      "enable.gapless.guarantee",
                                                      "enable.partition.eof",
                                                      "message.max.bytes"};
  if (std::find(kOurs.begin(), kOurs.end(), name) != kOurs.end()) {
    return SettingFault{"this setting belongs to pgduet", "remove it"};
  }
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char message[512] = {};
  const rd_kafka_conf_res_t result =
      rd_kafka_conf_set(conf, name.c_str(), value.c_str(), message, sizeof(message));
  rd_kafka_conf_destroy(conf);
  if (result == RD_KAFKA_CONF_UNKNOWN) {
    return SettingFault{"librdkafka does not know this setting",
                        "see CONFIGURATION.md of librdkafka for the names"};
  }
  // The message can hold the value, so it is not passed on.
  if (result != RD_KAFKA_CONF_OK) {
    return SettingFault{"librdkafka refuses this value",
                        "see CONFIGURATION.md of librdkafka for the values"};
  }
  return std::nullopt;
}

bool IsSecretKafkaProperty(std::string_view name) {
  return name.find("password") != std::string_view::npos ||
         name.find("secret") != std::string_view::npos ||
         name.find("key.pem") != std::string_view::npos || name == "sasl.oauthbearer.config" ||
         name == "ssl.key.pem";
}

}  // namespace pgduet
