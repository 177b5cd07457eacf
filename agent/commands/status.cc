// status and lag: from the running agent when it answers, and from the database in any case.
#include <fmt/format.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/text_table.h"
#include "base/named_error.h"
#include "base/pg_connection.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

using Json = nlohmann::ordered_json;

// The agent's own account, or null.
Json AskAgent(const RegionConfig& region) {
  if (region.http == "off") return nullptr;
  const size_t colon = region.http.rfind(':');
  if (colon == std::string::npos) return nullptr;
  std::string host = region.http.substr(0, colon);
  if (host == "0.0.0.0") host = "127.0.0.1";
  httplib::Client client(host, std::atoi(region.http.c_str() + colon + 1));
  client.set_connection_timeout(2);
  client.set_read_timeout(5);
  const httplib::Result answer = client.Get("/status");
  if (!answer || answer->status != 200) return nullptr;
  const Json json = Json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  return json.is_discarded() ? Json(nullptr) : json;
}

absl::StatusOr<Json> AskDatabase(const Invocation& invocation) {
  PgConnection::Options session =
      SetSession(invocation.self().postgres, invocation.config.set, "status");
  session.settings.clear();
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> connection,
                          PgConnection::Open(session));
  absl::StatusOr<PgResult> rows = connection->Query(
      "SELECT region, coalesce(sequence, 0), coalesce(commit_lsn::text, ''), coalesce(lag_seconds, "
      "-1) FROM pgduet.lag ORDER BY rank");
  if (!rows.ok()) {
    return Renamed(rows.status(), absl::StatusCode::kFailedPrecondition, "not_initialized",
                   "Run 'pgduet init' for this region.");
  }
  Json origins = Json::array();
  for (int row = 0; row < rows->rows(); ++row) {
    origins.push_back({{"origin", rows->Text(row, 0)},
                       {"sequence", rows->Int(row, 1)},
                       {"commit_lsn", rows->Text(row, 2)},
                       {"lag_seconds", std::atof(std::string(rows->Text(row, 3)).c_str())}});
  }
  PGDUET_ASSIGN_OR_RETURN(const PgResult counts,
                          connection->Query("SELECT (SELECT count(*) FROM pgduet.conflict), "
                                            "(SELECT count(*) FROM pgduet.tombstone)"));
  return Json{
      {"applied", origins}, {"conflicts", counts.Int(0, 0)}, {"tombstones", counts.Int(0, 1)}};
}

std::string Seconds(double seconds) {
  return seconds < 0 ? "never heard" : fmt::format("{:.3f} s", seconds);
}

void PrintStatus(const Json& json) {
  const Json& agent = json["agent"];
  const std::string set = json.value("set", std::string(kMainSet));
  fmt::print("region {}{}: agent {}\n", json["region"].get<std::string>(),
             set == kMainSet ? "" : fmt::format(" set {}", set),
             agent.is_null() ? "does not answer" : agent["state"].get<std::string>());
  if (!agent.is_null() && agent.contains("message")) {
    fmt::print("  {} [{}]\n  {}\n", agent["message"].get<std::string>(),
               agent["error"].get<std::string>(), agent["remedy"].get<std::string>());
  }
  if (!agent.is_null()) {
    TextTable streams({"stream", "state", "sequence", "commit LSN", "error"});
    for (const Json& one : agent["streams"]) {
      streams.Add({one["name"], one["state"], std::to_string(one["sequence"].get<uint64_t>()),
                   one["commit_lsn"], one["error"]});
    }
    fmt::print("{}", streams.ToString());
    for (const Json& one : agent["streams"]) {
      if (one["error"].get_ref<const std::string&>().empty()) continue;
      fmt::print("{}: {}\n  {}\n", one["name"].get<std::string>(),
                 one["message"].get<std::string>(), one["remedy"].get<std::string>());
    }
  }
  TextTable origins({"origin", "applied sequence", "commit LSN", "lag"});
  for (const Json& one : json["database"]["applied"]) {
    origins.Add({one["origin"], std::to_string(one["sequence"].get<int64_t>()), one["commit_lsn"],
                 Seconds(one["lag_seconds"])});
  }
  fmt::print("{}conflicts logged: {}   tombstones: {}\n", origins.ToString(),
             json["database"]["conflicts"].get<int64_t>(),
             json["database"]["tombstones"].get<int64_t>());
}

}  // namespace

int RunStatus(const Invocation& invocation) {
  absl::StatusOr<Json> database = AskDatabase(invocation);
  if (!database.ok()) return Fail(database.status());
  Json json = {{"region", invocation.region}};
  if (invocation.config.set != kMainSet) json["set"] = invocation.config.set;
  json["agent"] = AskAgent(invocation.self());
  json["database"] = *database;
  if (invocation.json) {
    fmt::print("{}\n", json.dump(2));
  } else {
    PrintStatus(json);
  }
  const bool runs = !json["agent"].is_null() && json["agent"]["state"] == "running";
  return runs ? kExitOk : kExitFailure;
}

int RunLag(const Invocation& invocation, const LagOptions& options) {
  absl::StatusOr<Json> database = AskDatabase(invocation);
  if (!database.ok()) return Fail(database.status());
  const Json& origins = (*database)["applied"];
  bool lagging = false;
  TextTable table({"origin", "lag"});
  for (const Json& one : origins) {
    const double seconds = one["lag_seconds"];
    lagging |= seconds < 0 || seconds > options.max_seconds;
    table.Add({one["origin"], Seconds(seconds)});
  }
  if (invocation.json) {
    fmt::print("{}\n", Json{{"region", invocation.region},
                            {"max_seconds", options.max_seconds},
                            {"lagging", lagging},
                            {"origins", origins}}
                           .dump(2));
  } else {
    fmt::print("{}", table.ToString());
  }
  return lagging ? kExitLagging : kExitOk;
}

}  // namespace pgduet
