#include "agent/config_sets.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "agent/config_values.h"
#include "agent/names.h"
#include "agent/policy_text.h"
#include "apply/sole_writer.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

std::vector<std::string_view> NamesOfSets(const Config& file) {
  std::vector<std::string_view> names = {kMainSet};
  for (const SetConfig& set : file.sets) names.push_back(set.name);
  return names;
}

class SetChecks {
 public:
  SetChecks(const Config& file, std::vector<ConfigProblem>& problems)
      : file_(file), problems_(problems) {}

  void Run() {
    for (const TableConfig& table : file_.tables) CheckTable(table);
    for (const SetConfig& set : file_.sets) {
      CheckName(set);
      CheckMembers(set);
      CheckAddresses(set);
    }
  }

 private:
  void Problem(int line, std::string key, std::string what, std::string remedy) {
    problems_.push_back({line, std::move(key), std::move(what), std::move(remedy)});
  }

  void CheckTable(const TableConfig& table) {
    const std::string key = "tables." + table.QualifiedName();
    if (table.set != kMainSet && file_.FindSet(table.set) == nullptr) {
      Problem(table.line, key + ".set", fmt::format("unknown set: '{}'", table.set),
              fmt::format("declare it under 'sets', or use one of: {}",
                          fmt::join(NamesOfSets(file_), ", ")));
    }
    for (const SetConfig& set : file_.sets) {
      if (table.schema != SidecarSchema(set.name)) continue;
      Problem(table.line, key,
              fmt::format("tables of schema {} cannot replicate: it is the set's", table.schema),
              fmt::format("remove it, or rename the set '{}'", set.name));
    }
  }

  void CheckName(const SetConfig& set) {
    const std::string key = "sets." + set.name;
    if (!IsNameText(set.name)) {
      Problem(set.line, key, fmt::format("not a set name: '{}'", set.name),
              "use 1 to 32 of a-z, 0-9 and '-'");
    } else if (set.name == kMainSet) {
      Problem(set.line, key, "the set 'main' is always there",
              "remove it; its agents' addresses are regions.*.http");
    } else if (set.name == "conflicts") {
      // pgduet.GROUP.REGION.conflicts is a topic already.
      Problem(set.line, key, "the set name 'conflicts' is reserved", "choose another one");
    } else {
      CheckSlotNames(set);
      CheckLocks(set);
    }
  }

  // Locks have numbers, not names: each agent would end the other one's sessions.
  void CheckLocks(const SetConfig& set) {
    for (const std::string_view other : NamesOfSets(file_)) {
      if (other == set.name) break;
      if (LockClassOf(other) != LockClassOf(set.name)) continue;
      Problem(set.line, "sets." + set.name,
              fmt::format("its locks would have the number of another set's: set={}", other),
              "choose another name");
    }
  }

  // The slot that the set a keeps for the peer b is called like the own slot of a set a-to-b.
  void CheckSlotNames(const SetConfig& set) {
    std::vector<std::string> slots = SlotsOf(set.name);
    for (const std::string_view other : NamesOfSets(file_)) {
      if (other == set.name) break;  // those that follow are compared with this one
      for (const std::string& slot : SlotsOf(other)) {
        if (std::find(slots.begin(), slots.end(), slot) == slots.end()) continue;
        return Problem(
            set.line, "sets." + set.name,
            fmt::format("a slot would have the name of another set's: set={} slot={}", other, slot),
            "choose another name");
      }
    }
  }

  std::vector<std::string> SlotsOf(std::string_view set) const {
    std::vector<std::string> slots = {SlotName(file_.group, set)};
    for (const RegionConfig& region : file_.regions)
      slots.push_back(PeerSlotName(file_.group, set, region.name));
    return slots;
  }

  void CheckMembers(const SetConfig& set) {
    const bool has_tables =
        std::any_of(file_.tables.begin(), file_.tables.end(),
                    [&](const TableConfig& table) { return table.set == set.name; });
    if (has_tables) return;
    Problem(set.line, "sets." + set.name, "the set has no tables",
            fmt::format("give a table 'set: {}', or remove the set", set.name));
  }

  void CheckAddresses(const SetConfig& set) {
    for (const SetConfig::Address& address : set.http) {
      const std::string key = fmt::format("sets.{}.http.{}", set.name, address.region);
      const RegionConfig* region = file_.FindRegion(address.region);
      if (region == nullptr) {
        Problem(address.line, key, fmt::format("unknown region: '{}'", address.region),
                "name one of 'regions'");
      } else if (address.http != "off" && !taken_.emplace(address.region, address.http).second) {
        Problem(address.line, key, "the address is another set's", "give each agent its own port");
      } else if (address.http != "off" && address.http == region->http) {
        Problem(address.line, key, "the address is that of the region's agent",
                "give each agent its own port");
      }
    }
  }

  const Config& file_;
  std::vector<ConfigProblem>& problems_;
  std::set<std::pair<std::string, std::string>> taken_;  // region, address
};

}  // namespace

void CheckSets(const Config& file, std::vector<ConfigProblem>& problems) {
  SetChecks(file, problems).Run();
}

absl::StatusOr<Config> OfSet(Config file, const std::string& set) {
  const SetConfig* declared = file.FindSet(set);
  const auto is_other = [&](const TableConfig& table) { return table.set != set; };
  const std::string remedy =
      fmt::format("Use --set or PGDUET_SET with one of: {}", fmt::join(NamesOfSets(file), " "));
  if (set != kMainSet && declared == nullptr) {
    return NamedError(absl::StatusCode::kInvalidArgument, "unknown_set",
                      fmt::format("the file declares no such set: set={}", set), remedy);
  }
  for (RegionConfig& region : file.regions) {
    if (declared == nullptr) break;
    region.http = "off";
    for (const SetConfig::Address& address : declared->http) {
      if (address.region == region.name) region.http = address.http;
    }
  }
  file.set = set;
  std::copy_if(file.tables.begin(), file.tables.end(), std::back_inserter(file.others), is_other);
  std::erase_if(file.tables, is_other);
  if (file.tables.empty()) {
    return NamedError(absl::StatusCode::kInvalidArgument, "set_without_tables",
                      fmt::format("all tables are in other sets: set={}", set), remedy);
  }
  return file;
}

size_t LongestPolicyText(const Config& file) {
  size_t longest = 0;
  for (const std::string_view set : NamesOfSets(file)) {
    const absl::StatusOr<Config> one = OfSet(file, std::string(set));
    if (one.ok()) longest = std::max(longest, CanonicalPolicyText(*one).size());
  }
  return longest;
}

}  // namespace pgduet
