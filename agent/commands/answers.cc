// Fail, check and version: the small answers.
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "agent/commands/commands.h"
#include "agent/setup/findings.h"
#include "base/named_error.h"
#include "schemas/record_pack.h"
#include "schemas/sidecar.h"

namespace pgduet {

int Fail(const absl::Status& status) {
  fmt::print(stderr, "error: {} [{}]\n", std::string(status.message()), ErrorName(status));
  if (const std::string remedy = ErrorRemedy(status); !remedy.empty())
    fmt::print(stderr, "  {}\n", remedy);
  return kExitFailure;
}

int RunCheck(const Invocation& invocation) {
  Findings findings;
  const RegionConfig& self = invocation.self();
  absl::StatusOr<std::unique_ptr<PgConnection>> connection =
      PgConnection::Open(SetSession(self.postgres, invocation.config.set, "check"));
  AddStatus(findings, connection.status());
  if (connection.ok()) {
    CheckServer(invocation.config, self, **connection, findings);
    CheckRights(invocation.config, self, **connection, findings);
    CheckTables(invocation.config, **connection, findings);
    CheckPolicies(invocation.config, **connection, findings);
    CheckForeignKeys(invocation.config, **connection, findings);
    CheckSetup(invocation.config, self, **connection, findings);
  }
  CheckKafka(invocation.config, self, findings);
  if (invocation.json) {
    nlohmann::ordered_json json = {
        {"region", self.name}, {"ok", !HasErrors(findings)}, {"findings", nlohmann::json::array()}};
    for (const Finding& one : findings) {
      json["findings"].push_back({{"severity", SeverityName(one.severity)},
                                  {"name", one.name},
                                  {"what", one.what},
                                  {"remedy", one.remedy}});
    }
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const Finding& one : findings) {
      fmt::print("{:<8} {} [{}]\n         {}\n", SeverityName(one.severity), one.what, one.name,
                 one.remedy);
    }
    fmt::print("{}: {}\n", self.name, HasErrors(findings) ? "not ready" : "ready");
  }
  return HasErrors(findings) ? kExitFailure : kExitOk;
}

int RunVersion(bool json) {
  if (json) {
    fmt::print(
        "{}\n",
        nlohmann::ordered_json{{"version", PGDUET_VERSION}, {"protocol", kPackProtocol}}.dump());
  } else {
    fmt::print("pgduet {} (protocol {})\n", PGDUET_VERSION, kPackProtocol);
  }
  return kExitOk;
}

}  // namespace pgduet
