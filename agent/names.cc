#include "agent/names.h"

#include <algorithm>

#include <fmt/format.h>
#include <xxhash.h>

#include "capture/applied_marker.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr size_t kNameBytesMax = 63;
constexpr size_t kHashBytes = 9;  // '_' and eight digits

std::string ServerName(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  if (name.size() <= kNameBytesMax) return name;
  const uint64_t hash = XXH3_64bits(name.data(), name.size());
  return fmt::format("{}_{:08x}", name.substr(0, kNameBytesMax - kHashBytes), hash >> 32);
}

}  // namespace

std::string SlotName(std::string_view group, std::string_view set) {
  return ServerName(fmt::format("pgduet_{}_{}", group, set));
}

std::string PeerSlotName(std::string_view group, std::string_view set, std::string_view peer) {
  return ServerName(fmt::format("pgduet_{}_{}_to_{}", group, set, peer));
}

std::string PublicationName(std::string_view group, std::string_view set) {
  return ServerName(fmt::format("pgduet_{}_{}", group, set));
}

std::string ConsumerGroup(const Config& config, std::string_view region) {
  const std::string main = fmt::format("pgduet.{}.{}", config.group, region);
  return config.set == kMainSet ? main : fmt::format("{}.{}", main, config.set);
}

std::string ClientId(const Config& config, std::string_view region) {
  return config.set == kMainSet ? fmt::format("pgduet-{}", region)
                                : fmt::format("pgduet-{}-{}", region, config.set);
}

std::vector<std::string> OriginNames(const Config& config, std::string_view region) {
  std::vector<std::string> names;
  for (const RegionConfig& peer : config.regions) {
    if (peer.name != region) names.push_back(OriginName(config.group, config.set, peer.name));
  }
  names.push_back(OriginName(config.group, config.set, kLocalOriginRegion));
  names.push_back(OriginName(config.group, config.set, kHousekeeperOriginRegion));
  names.push_back(OriginName(config.group, config.set, kPoliciesOriginRegion));
  names.push_back(OriginName(config.group, config.set, kPolicyChangeOriginRegion));
  return names;
}

std::vector<std::string> SlotNames(const Config& config, std::string_view region) {
  std::vector<std::string> names = {SlotName(config.group, config.set)};
  if (config.transport != TransportKind::kDirect) return names;
  for (const RegionConfig& peer : config.regions) {
    if (peer.name != region) names.push_back(PeerSlotName(config.group, config.set, peer.name));
  }
  return names;
}

}  // namespace pgduet
