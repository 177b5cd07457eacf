// Names of the objects that a group creates, derived from group, set and region alone. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/config.h"

namespace pgduet {

// PostgreSQL allows [a-z0-9_] and 63 bytes in a slot name: '-' becomes '_', and a name that would
// be longer is cut and ends with eight hex digits of its hash.
std::string SlotName(std::string_view group, std::string_view set);
// Transport direct: the slot at this database that the peer's agent reads.
std::string PeerSlotName(std::string_view group, std::string_view set, std::string_view peer);
std::string PublicationName(std::string_view group, std::string_view set);
// The topic: TopicName in transport/kafka_log.h.
// How a region's agent is known to brokers, as the reader of a topic and as a client.
std::string ConsumerGroup(const Config& config, std::string_view region);
std::string ClientId(const Config& config, std::string_view region);

// Region names of the origins for the agent's own work: the delete journal's, the housekeeper's
// (sweeps, closed times).
inline constexpr std::string_view kLocalOriginRegion = "local";
inline constexpr std::string_view kHousekeeperOriginRegion = "housekeeper";
inline constexpr std::string_view kPoliciesOriginRegion = "policies";
inline constexpr std::string_view kPolicyChangeOriginRegion = "policy-change";
// The replication origins of one database: one for each other region, then those.
std::vector<std::string> OriginNames(const Config& config, std::string_view region);

// All slots that this database needs: its own; with transport direct one for each peer, too.
std::vector<std::string> SlotNames(const Config& config, std::string_view region);

}  // namespace pgduet
