#include "agent/commands/conflicts_rule.h"

#include <fmt/format.h>

namespace pgduet {
namespace {

std::string Compared(const Json& entry) {
  const std::string winner = Text(entry["winner_region"]);
  const bool remote_won = entry["winner"] == "remote";
  const std::string loser = Text(entry[remote_won ? "local_region" : "remote_region"]);
  const std::optional<absl::Time> remote = TimeOf(entry["remote_time"]);
  const std::optional<absl::Time> local = TimeOf(entry["local_time"]);
  if (!remote || !local) return "the times are not known";
  const absl::Duration apart = remote_won ? *remote - *local : *local - *remote;
  if (apart == absl::ZeroDuration()) {
    return fmt::format("equal commit times; {} stands later in the list of regions than {}", winner,
                       loser);
  }
  return fmt::format("the later commit wins; {} committed {:.6f} s after {}", winner,
                     absl::ToDoubleSeconds(apart), loser);
}

std::string OrphanText(const Json& entry) {
  const std::string gone = fmt::format("on_orphan: {} deleted the row that this one refers to",
                                       Text(entry["remote_region"]));
  if (entry["decision"] == "delete_child") return gone + "; this row was deleted, too";
  if (entry["decision"] == "revive_parent") return gone + "; that row was written back";
  return gone + "; this row stays without it";
}

}  // namespace

std::optional<absl::Time> TimeOf(const Json& value) {
  absl::Time time;
  std::string error;
  if (!value.is_string() ||
      !absl::ParseTime(absl::RFC3339_full, value.get<std::string>(), &time, &error) ||
      time == absl::InfiniteFuture() || time == absl::InfinitePast()) {
    return std::nullopt;
  }
  return time;
}

std::string RuleText(const Json& entry) {
  const std::string policy = Text(entry["policy"]);
  if (policy == "on_orphan") return OrphanText(entry);
  if (entry["local_operation"].is_null())
    return "nothing was known here under this key: the remote change was applied";
  if (entry["local_time"].is_null())
    return fmt::format("{}: the local row is older than the attachment and has no version", policy);
  if (entry["decision"] == "merge") {
    return policy == "custom" ? "custom: the table's function made the row"
                              : "merge: every column by its own rule";
  }
  if (entry["decision"] == "park_local" || entry["decision"] == "park_remote") {
    return fmt::format(
        "on_unique: two rows want one value of a unique key; the later write, of {}, is shown, the "
        "other row waits ('pgduet parked list')",
        Text(entry["winner_region"]));
  }
  if (policy == "first_write_wins" || policy == "region_priority")
    return fmt::format("{}: the write of {} stays", policy, Text(entry["winner_region"]));
  if (policy == "versions" || policy == "error") {
    return fmt::format(
        "{}: both are kept ('pgduet siblings show'); the table shows the write of {}", policy,
        Text(entry["winner_region"]));
  }
  if (policy != "last_write_wins") return fmt::format("{} decided", policy);
  return fmt::format("{}: {}", policy, Compared(entry));
}

}  // namespace pgduet
