// The commands of the pgduet program. Each takes what the command line said and returns the exit
// code: 0 ok, 1 failure, 2 usage, 3 lagging, 4 diverged. Data goes to standard output, messages to
// standard error.
#pragma once

#include <string>

#include "agent/config.h"

namespace pgduet {

constexpr int kExitOk = 0, kExitFailure = 1, kExitUsage = 2, kExitLagging = 3;

struct Invocation {
  Config config;
  std::string region;
  bool json = false;
  const RegionConfig& self() const { return *config.FindRegion(region); }
};

int RunCheck(const Invocation& invocation);

struct InitOptions {
  bool dry_run = false;
};
int RunInit(const Invocation& invocation, const InitOptions& options);

struct AgentOptions {
  std::string log_format = "logfmt";
  std::string log_level = "info";
};
int RunAgent(const Invocation& invocation, const AgentOptions& options);

int RunStatus(const Invocation& invocation);

struct LagOptions {
  double max_seconds = 30;
};
int RunLag(const Invocation& invocation, const LagOptions& options);

struct ConflictsOptions {
  std::string table;
  std::string kind;
  std::string since;  // an interval ("1 hour") or a time
  int limit = 50;
};
int RunConflictsList(const Invocation& invocation, const ConflictsOptions& options);
int RunConflictsShow(const Invocation& invocation, long id);

struct ParkedOptions {
  std::string table;
  int limit = 50;
};
int RunParkedList(const Invocation& invocation, const ParkedOptions& options);

int RunVersion(bool json);

// Prints the error as every command does: message, name, remedy. Returns kExitFailure.
int Fail(const absl::Status& status);

}  // namespace pgduet
