// The command line: options, configuration, and the command that is asked for.
#include <cstdio>
#include <functional>

#include <CLI/CLI.hpp>

#include "agent/commands/commands.h"
#include "agent/commands/conflicts_options.h"
#include "agent/commands/policy_options.h"
#include "agent/config.h"
#include "agent/config_docs.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace {

struct CommandLine {
  std::string config_path;
  std::string region;
  std::string set = std::string(pgduet::kMainSet);
  bool json = false;
};

// Nothing when it cannot be read; that has been said then.
std::optional<pgduet::Config> ReadConfig(const CommandLine& line) {
  if (line.config_path.empty()) {
    std::fprintf(stderr, "no configuration was given; use --config FILE or PGDUET_CONFIG\n");
    return std::nullopt;
  }
  absl::StatusOr<pgduet::Config> config =
      pgduet::LoadConfig(line.config_path, pgduet::ProcessEnvironment(), line.set);
  if (config.ok()) return *std::move(config);
  pgduet::Fail(config.status());
  return std::nullopt;
}

// For a command that needs one region. The exit code in `exit_code` when it cannot run.
std::optional<pgduet::Invocation> Prepare(const CommandLine& line, int& exit_code) {
  exit_code = pgduet::kExitUsage;
  std::optional<pgduet::Config> config = ReadConfig(line);
  if (!config.has_value()) return std::nullopt;
  if (config->FindRegion(line.region) == nullptr) {
    std::string names;
    for (const pgduet::RegionConfig& region : config->regions) names += " " + region.name;
    pgduet::Fail(pgduet::NamedError(absl::StatusCode::kInvalidArgument, "unknown_region",
                                    "region is missing or unknown: region=" + line.region,
                                    "Use --region or PGDUET_REGION with one of:" + names));
    return std::nullopt;
  }
  return pgduet::Invocation{.config = *std::move(config), .region = line.region, .json = line.json};
}

using Command = std::function<int(const pgduet::Invocation&)>;
using WithRegion = std::function<std::function<void()>(Command)>;

// What somebody runs once, and what runs all the time.
struct ServiceOptions {
  pgduet::InitOptions init;
  pgduet::AgentOptions agent;
  pgduet::LagOptions lag;
  pgduet::ParkedOptions parked;

  void AddTo(CLI::App& app, const WithRegion& with_region) {
    app.add_subcommand("check", "Probe every prerequisite; each finding comes with its mend")
        ->callback(with_region(pgduet::RunCheck));
    auto* init_command = app.add_subcommand(
        "init", "Set up this region: schema, publication, slot, origins, topic; repeatable");
    init_command->add_flag("--dry-run", init.dry_run,
                           "Print the SQL and the topics, change nothing");
    init_command->callback(
        with_region([this](const pgduet::Invocation& one) { return RunInit(one, init); }));
    auto* agent_command = app.add_subcommand("agent", "Run this region's agent until SIGTERM");
    agent_command->add_option("--log-format", agent.log_format)
        ->check(CLI::IsMember({"logfmt", "json"}));
    agent_command->add_option("--log-level", agent.log_level)
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
    agent_command->callback(
        with_region([this](const pgduet::Invocation& one) { return RunAgent(one, agent); }));
    app.add_subcommand("status", "What this region's agent and database say")
        ->callback(with_region(pgduet::RunStatus));
    auto* lag_command =
        app.add_subcommand("lag", "How far behind this region is; exit code 3 when too far");
    lag_command->add_option("--max", lag.max_seconds, "Seconds that are still fine (default 30)");
    lag_command->callback(
        with_region([this](const pgduet::Invocation& one) { return RunLag(one, lag); }));
    auto* parked_command =
        app.add_subcommand("parked", "Rows that lost a unique value to another row");
    parked_command->require_subcommand(1);
    auto* list = parked_command->add_subcommand("list", "The newest first, with their rows");
    list->add_option("--table", parked.table, "schema.table");
    list->add_option("--limit", parked.limit, "At most so many (default 50)")
        ->check(CLI::PositiveNumber);
    list->callback(
        with_region([this](const pgduet::Invocation& one) { return RunParkedList(one, parked); }));
  }
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "pgduet keeps PostgreSQL databases in several regions in sync while all of them accept "
      "writes.");
  app.require_subcommand(1);
  CommandLine line;
  app.add_option("-c,--config", line.config_path, "The group's YAML file")
      ->envname("PGDUET_CONFIG");
  app.add_option("-r,--region", line.region, "The region this command is for")
      ->envname("PGDUET_REGION");
  app.add_option("-s,--set", line.set, "The set of tables this command is for (default main)")
      ->envname("PGDUET_SET");
  app.add_flag("--json", line.json, "Machine-readable output");
  app.fallthrough();

  int exit_code = pgduet::kExitOk;
  const WithRegion with_region = [&](Command command) {
    return [&, command = std::move(command)] {
      if (auto invocation = Prepare(line, exit_code)) exit_code = command(*invocation);
    };
  };
  ServiceOptions service;
  service.AddTo(app, with_region);
  pgduet::ConflictsOptions conflicts;
  conflicts.AddTo(app, with_region);
  pgduet::PolicyOptions policies;
  policies.AddTo(app, with_region, [&] {
    const std::optional<pgduet::Config> config = ReadConfig(line);
    exit_code = config ? pgduet::RunPolicyShow(*config, line.json) : pgduet::kExitUsage;
  });

  app.add_subcommand("version", "The version of this program")->callback([&] {
    exit_code = pgduet::RunVersion(line.json);
  });

  auto* docs = app.add_subcommand("docs", "Documentation generated from the code")->group("");
  docs->add_subcommand("configuration", "docs/configuration.md")->callback([] {
    std::fputs(pgduet::ConfigurationReference().c_str(), stdout);
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int code = app.exit(error);
    return code == 0 ? 0 : pgduet::kExitUsage;
  }
  return exit_code;
}
