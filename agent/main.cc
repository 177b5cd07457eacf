// The command line: options, configuration, and the command that is asked for.
#include <cstdio>

#include <CLI/CLI.hpp>

#include "agent/commands/commands.h"
#include "agent/config.h"
#include "agent/config_docs.h"
#include "base/named_error.h"

namespace {

struct CommandLine {
  std::string config_path;
  std::string region;
  bool json = false;
};

// Reads the configuration for a command that needs one region. The exit code in `exit_code` when it
// cannot.
std::optional<pgduet::Invocation> Prepare(const CommandLine& line, int& exit_code) {
  exit_code = pgduet::kExitUsage;
  if (line.config_path.empty()) {
    std::fprintf(stderr, "no configuration was given; use --config FILE or PGDUET_CONFIG\n");
    return std::nullopt;
  }
  absl::StatusOr<pgduet::Config> config =
      pgduet::LoadConfig(line.config_path, pgduet::ProcessEnvironment());
  if (!config.ok()) {
    pgduet::Fail(config.status());
    return std::nullopt;
  }
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
  app.add_flag("--json", line.json, "Machine-readable output");
  app.fallthrough();

  int exit_code = pgduet::kExitOk;
  const auto with_region = [&](auto command) {
    return [&, command] {
      if (auto invocation = Prepare(line, exit_code)) exit_code = command(*invocation);
    };
  };
  app.add_subcommand("check", "Probe every prerequisite; each finding comes with its mend")
      ->callback(with_region([](const pgduet::Invocation& one) { return pgduet::RunCheck(one); }));

  pgduet::InitOptions init;
  auto* init_command = app.add_subcommand(
      "init", "Set up this region: schema, publication, slot, origins, topic; repeatable");
  init_command->add_flag("--dry-run", init.dry_run, "Print the SQL and the topics, change nothing");
  init_command->callback(
      with_region([&](const pgduet::Invocation& one) { return pgduet::RunInit(one, init); }));

  pgduet::AgentOptions agent;
  auto* agent_command = app.add_subcommand("agent", "Run this region's agent until SIGTERM");
  agent_command->add_option("--log-format", agent.log_format)
      ->check(CLI::IsMember({"logfmt", "json"}));
  agent_command->add_option("--log-level", agent.log_level)
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  agent_command->callback(
      with_region([&](const pgduet::Invocation& one) { return pgduet::RunAgent(one, agent); }));

  app.add_subcommand("status", "What this region's agent and database say")
      ->callback(with_region([](const pgduet::Invocation& one) { return pgduet::RunStatus(one); }));

  pgduet::LagOptions lag;
  auto* lag_command =
      app.add_subcommand("lag", "How far behind this region is; exit code 3 when too far");
  lag_command->add_option("--max", lag.max_seconds, "Seconds that are still fine (default 30)");
  lag_command->callback(
      with_region([&](const pgduet::Invocation& one) { return pgduet::RunLag(one, lag); }));

  auto* conflicts = app.add_subcommand("conflicts", "What met what, and how it was decided");
  conflicts->require_subcommand(1);
  pgduet::ConflictsOptions list;
  auto* list_command = conflicts->add_subcommand("list", "The newest conflicts first");
  list_command->add_option("--table", list.table, "schema.table");
  list_command->add_option("--kind", list.kind, "insert_exists, update_origin_differs, ...");
  list_command->add_option("--since", list.since, "A time, or an interval such as '1 hour'");
  list_command->add_option("--limit", list.limit, "At most so many (default 50)")
      ->check(CLI::PositiveNumber);
  list_command->callback(with_region(
      [&](const pgduet::Invocation& one) { return pgduet::RunConflictsList(one, list); }));
  long id = 0;
  auto* show_command = conflicts->add_subcommand("show", "Both rows of one conflict, side by side");
  show_command->add_option("id", id)->required();
  show_command->callback(with_region(
      [&](const pgduet::Invocation& one) { return pgduet::RunConflictsShow(one, id); }));

  auto* parked = app.add_subcommand("parked", "Rows that lost a unique value to another row");
  parked->require_subcommand(1);
  pgduet::ParkedOptions waiting;
  auto* parked_list = parked->add_subcommand("list", "The newest first, with their rows");
  parked_list->add_option("--table", waiting.table, "schema.table");
  parked_list->add_option("--limit", waiting.limit, "At most so many (default 50)")
      ->check(CLI::PositiveNumber);
  parked_list->callback(with_region(
      [&](const pgduet::Invocation& one) { return pgduet::RunParkedList(one, waiting); }));

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
