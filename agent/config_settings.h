// Every setting of the configuration file: key, type, default, documentation, and the function that
// checks and stores it.
//
// The reader (config_reader.cc) and docs/configuration.md (config_docs.h) both come from this
// table, so that neither can know a key that the other does not.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "agent/config.h"
#include "agent/policy_draft.h"

namespace pgduet {

// Where a value is stored: the part of the config that is being read.
struct SettingScope {
  Config& config;
  RegionConfig* region = nullptr;
  PolicyDraft* policy = nullptr;  // of one table, or of `defaults`
  TableConfig* table = nullptr;
};

// nullptr: the key holds more keys, or lists; the reader knows which.
using SettingAssign = std::optional<SettingFault> (*)(const std::string& value,
                                                      SettingScope& scope);

struct Setting {
  std::string_view path;  // components joined by '/'; "*" stands for a name that the user chooses
  bool required = false;
  std::string_view type;
  std::string_view fallback;  // default, as written in the file
  std::string_view example;
  std::string_view text;
  SettingAssign assign = nullptr;
};

// host:port, or off.
std::optional<SettingFault> CheckHttpAddress(const std::string& value);

std::span<const Setting> Settings();
const Setting* FindSetting(std::string_view path);

// In config_kafka_property.cc. Checked by the reader for each entry of kafka/properties: known to
// librdkafka, and not one that pgduet sets itself.
std::optional<SettingFault> CheckKafkaProperty(const std::string& name, const std::string& value);
bool IsSecretKafkaProperty(std::string_view name);

}  // namespace pgduet
