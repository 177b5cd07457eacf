// Finds the place where a writer continues: the last complete record of a topic, as the topic's
// readers judge it. Part of kafka_log.h; used by KafkaLogWriter::ReadTail. One thread; blocks on
// the network.
#pragma once

#include <optional>

#include <absl/status/statusor.h>

#include "transport/kafka_log.h"

namespace pgduet {

absl::StatusOr<std::optional<LogTail>> ReadKafkaTail(const KafkaLogOptions& options);

}  // namespace pgduet
