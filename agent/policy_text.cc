#include "agent/policy_text.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>
#include <xxhash.h>

namespace pgduet {
namespace {

std::string Escaped(std::string_view name) {
  std::string text;
  for (char byte : name) {
    if (byte == '\\') {
      text += "\\\\";
    } else if (byte == '\n') {
      text += "\\n";
    } else if (byte == '\r') {
      text += "\\r";
    } else {
      text += byte;
    }
  }
  return text;
}

// Of what the settings mean. Not the records' protocol: an agent reads older ones, so that regions
// can be upgraded one by one.
constexpr int kPolicyProtocol = 1;

}  // namespace

std::string CanonicalPolicyText(const Config& config) {
  std::string text =
      fmt::format("protocol={}\ngroup={}\nset={}\n", kPolicyProtocol, config.group, config.set);
  for (const RegionConfig& region : config.regions) {
    text += fmt::format("region.{}={}\n", region.rank, region.name);
  }
  std::vector<const TableConfig*> tables;
  for (const TableConfig& table : config.tables) tables.push_back(&table);
  std::sort(tables.begin(), tables.end(), [](const TableConfig* left, const TableConfig* right) {
    return std::tie(left->schema, left->name) < std::tie(right->schema, right->name);
  });
  for (const TableConfig* table : tables) {
    const std::string name = Escaped(table->QuotedName());
    text += fmt::format("table.{}.policy={}\n", name, table->policy);
    text += fmt::format("table.{}.on_delete={}\n", name, table->on_delete);
    // Only when it is not the default: files from before it existed keep their hash.
    if (!table->on_unique.empty() && table->on_unique != "stop")
      text += fmt::format("table.{}.on_unique={}\n", name, table->on_unique);
  }
  return text;
}

uint64_t PolicyHash(const Config& config) {
  const std::string text = CanonicalPolicyText(config);
  const uint64_t hash = XXH3_64bits(text.data(), text.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace pgduet
