// The commands of the pgduet program. Each takes what the command line said and returns the exit
// code: 0 ok, 1 failure, 2 usage, 3 lagging, 4 diverged. Data goes to standard output, messages to
// standard error.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

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

struct ConflictFilter {
  std::string table;   // schema.table
  std::string kind;    // insert_exists, ...
  std::string region;  // of either side
  std::string policy;
  std::string since, until;  // an interval ("1 hour") or a time
  bool open = false;
  int64_t before = 0;  // numbers below this one; 0: all
  int limit = 50;
};
int RunConflictsList(const Invocation& invocation, const ConflictFilter& filter);
int RunConflictsShow(const Invocation& invocation, int64_t id);

struct DismissOptions {
  std::vector<int64_t> ids;
  bool all = false;  // instead of numbers: every open entry that the filter lets through
  ConflictFilter filter;
  std::string note;
};
int RunConflictsDismiss(const Invocation& invocation, const DismissOptions& options);

struct UndoOptions {
  int64_t id = 0;
  bool force = false;
  bool dry_run = false;
};
int RunConflictsUndo(const Invocation& invocation, const UndoOptions& options);

struct ReplayOptions {
  std::string policy;  // a configuration file
  ConflictFilter filter;
};
int RunConflictsReplay(const Invocation& invocation, const ReplayOptions& options);

// Needs no region: the answer is the group's.
int RunPolicyShow(const Config& config, bool json);

struct FunctionTestOptions {
  std::string table;  // schema.table, of policy custom
  int limit = 100;    // newest conflicts
};
// Exit code 1 when the function is not what a conflict function has to be.
int RunPolicyTest(const Invocation& invocation, const FunctionTestOptions& options);

struct PolicyApplyOptions {
  std::string file;  // with the new set
  bool resume = false;
  bool abort = false;
  bool force = false;
  bool no_wait = false;
  bool discard_siblings = false;
  int patience_seconds = 30;
};
int RunPolicyApply(const Invocation& invocation, const PolicyApplyOptions& options);
int RunPolicyStatus(const Invocation& invocation);

struct SiblingsOptions {
  std::string table;  // schema.table
  std::string key;    // {"column": value, ...}
};
int RunSiblingsList(const Invocation& invocation, const SiblingsOptions& options);
int RunSiblingsShow(const Invocation& invocation, const SiblingsOptions& options);

struct ResolveOptions {
  std::string table;
  std::string key;
  std::string row;   // {"column": value, ...}
  std::string take;  // instead: the version of this region
  bool remove = false;
};
int RunResolve(const Invocation& invocation, const ResolveOptions& options);

struct ParkedOptions {
  std::string table;
  int limit = 50;
};
int RunParkedList(const Invocation& invocation, const ParkedOptions& options);

int RunVersion(bool json);

// Prints the error as every command does: message, name, remedy. Returns kExitFailure.
int Fail(const absl::Status& status);

}  // namespace pgduet
