// conflicts replay: what another configuration would have decided about the logged conflicts. A
// dry run: each entry alone, from what the log has; nothing is written.
#include <algorithm>

#include <fmt/format.h>

#include "agent/commands/conflicts_decide.h"
#include "agent/commands/conflicts_entry.h"
#include "agent/commands/conflicts_rule.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

LoggedSide SideOf(const Json& region, const Json& time, const Json& lsn) {
  LoggedSide side{.region = Text(region), .version = {}};
  if (const std::optional<absl::Time> at = TimeOf(time); at)
    side.version.commit_time = absl::ToUnixMicros(*at);
  side.version.commit_lsn = Lsn::Parse(Text(lsn)).value_or(Lsn());
  return side;
}

LoggedConflict ConflictOf(const Json& entry) {
  LoggedConflict conflict{
      .remote_operation = OperationOf(Text(entry["remote_operation"])),
      .remote = SideOf(entry["remote_region"], entry["remote_time"], entry["remote_lsn"]),
      .local_row = entry["local_operation"] == "row",
      .local_deleted = entry["local_operation"] == "delete",
      .local = std::nullopt};
  if (!entry["local_region"].is_null())
    conflict.local = SideOf(entry["local_region"], entry["local_time"], entry["local_lsn"]);
  return conflict;
}

struct Replayed {
  const Json* entry;
  std::string decision;  // or why there is none
  bool decided = false;
  bool differs = false;
};

Replayed Replay(const Config& other, const std::vector<std::string>& regions, const Json& entry) {
  const auto table = std::find_if(
      other.tables.begin(), other.tables.end(),
      [&](const TableConfig& one) { return one.QualifiedName() == Text(entry["table"]); });
  if (table == other.tables.end()) return {.entry = &entry, .decision = "the table is not in it"};
  const absl::StatusOr<Decision> decision =
      DecideAgain({.policy = table->policy, .regions = regions}, ConflictOf(entry));
  if (!decision.ok())
    return {.entry = &entry, .decision = std::string(decision.status().message())};
  const std::string name(DecisionName(*decision));
  return {.entry = &entry,
          .decision = name,
          .decided = true,
          .differs = name != Text(entry["decision"])};
}

void Print(const std::vector<Replayed>& all, bool json) {
  size_t same = 0, different = 0;
  Json list = Json::array();
  TextTable table({"id", "table", "key", "kind", "decided", "with the other policy", ""});
  for (const Replayed& one : all) {
    same += one.decided && !one.differs ? 1 : 0;
    different += one.differs ? 1 : 0;
    const Json& entry = *one.entry;
    table.Add({Text(entry["id"]), Shown(Text(entry["table"])), Shown(Text(entry["key"])),
               Text(entry["kind"]), Text(entry["decision"]), one.decision, one.differs ? "*" : ""});
    list.push_back({{"id", entry["id"]},
                    {"decision", entry["decision"]},
                    {"replayed", one.decided ? Json(one.decision) : Json(nullptr)},
                    {"reason", one.decided ? Json(nullptr) : Json(one.decision)},
                    {"differs", one.differs}});
  }
  const size_t open = all.size() - same - different;
  if (json) {
    fmt::print(
        "{}\n",
        Json{{"same", same}, {"different", different}, {"not_decided", open}, {"conflicts", list}}
            .dump(2));
    return;
  }
  if (table.rows() > 0) fmt::print("{}", table.ToString());
  fmt::print("same: {}   different: {}   not decided: {}\n", same, different, open);
}

}  // namespace

int RunConflictsReplay(const Invocation& invocation, const ReplayOptions& options) {
  const absl::StatusOr<Config> other =
      LoadConfig(options.policy, ProcessEnvironment(), invocation.config.set);
  if (!other.ok()) return Fail(other.status());
  absl::StatusOr<std::unique_ptr<PgConnection>> connection = OpenConflictLog(invocation);
  if (!connection.ok()) return Fail(connection.status());
  const absl::StatusOr<std::vector<Json>> entries =
      LoadEntries(**connection, options.filter, options.filter.limit);
  if (!entries.ok()) return Fail(entries.status());
  std::vector<std::string> regions;
  for (const RegionConfig& region : other->regions) regions.push_back(region.name);
  std::vector<Replayed> all;
  for (const Json& entry : *entries) all.push_back(Replay(*other, regions, entry));
  Print(all, invocation.json);
  return kExitOk;
}

}  // namespace pgduet
