// policy apply: tells this region's agent of a new set of policies, and waits until it is in force.
// The agents do the rest (agent/policy_changer.h); this command may end at any moment and be run
// again.
#include <cstdio>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <xxhash.h>

#include "agent/commands/commands.h"
#include "agent/policy_set.h"
#include "agent/policy_text.h"
#include "agent/region_agent.h"
#include "agent/setup/policy_gates.h"
#include "agent/setup/region_setup.h"
#include "base/named_error.h"
#include "schemas/policy_notice.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

// One command at a time makes and removes triggers of a set in a region. Its number is "pgduet", or
// a hash of the set's name.
constexpr char kAloneSql[] = "SELECT pg_catalog.pg_advisory_lock($1::bigint)";
constexpr char kNotAloneSql[] = "SELECT pg_catalog.pg_advisory_unlock($1::bigint)";

std::string AloneNumber(const std::string& set) {
  const uint64_t number = set == kMainSet ? 0x706764756574 : XXH3_64bits(set.data(), set.size());
  return std::to_string(static_cast<int64_t>(number));
}

struct Change {
  int64_t id = 0;
  std::string state;
  int64_t change = 0;
  std::string policy_text;
  std::string reason;
  bool announced = false;
  bool is_open() const { return state != "applied" && state != "aborted"; }
};

// The newest one, open or not; state is empty when there is none.
absl::StatusOr<Change> NewestChange(PgConnection& connection) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      connection.Query("SELECT id, state, change, policy_text, reason, announced FROM "
                       "pgduet.policy_change ORDER BY id DESC LIMIT 1"));
  Change change{.state = "applied"};
  if (row.rows() == 0) return change;
  change.id = row.Int(0, 0);
  change.state = row.Text(0, 1);
  change.change = row.Int(0, 2);
  change.policy_text = row.Text(0, 3);
  change.reason = row.Text(0, 4);
  change.announced = row.Bool(0, 5);
  return change;
}

absl::Status NoChange() {
  return NamedError(absl::StatusCode::kNotFound, "no_policy_change",
                    "no change of policies goes on in this region",
                    "'pgduet policy status' shows what is in force.");
}

absl::Status RefuseSiblings(PgConnection& connection, const std::vector<TableConfig>& tables) {
  for (const TableConfig& table : tables) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult row,
                            connection.Query("SELECT count(*) FROM pgduet.row_state WHERE siblings "
                                             "AND relation = $1::regclass",
                                             {table.QuotedName()}));
    if (row.Int(0, 0) == 0) continue;
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "siblings_would_go",
        fmt::format("rows have several versions, of which the visible one would stay: table={} "
                    "rows={}",
                    table.QualifiedName(), row.Int(0, 0)),
        "Decide them ('pgduet siblings list', 'pgduet resolve'), or give --discard-siblings: they "
        "stay in the conflict log.");
  }
  return absl::OkStatus();
}

class Command {
 public:
  Command(const Invocation& invocation, const PolicyApplyOptions& options)
      : invocation_(invocation), options_(options) {}

  absl::Status Run() {
    PGDUET_ASSIGN_OR_RETURN(connection_, Open(invocation_.self().postgres));
    PGDUET_RETURN_IF_ERROR(CheckSidecarVersion(*connection_));
    if (options_.abort) return Abort();
    PGDUET_ASSIGN_OR_RETURN(Change change, NewestChange(*connection_));
    if (options_.resume) {
      if (change.id == 0) return NoChange();
    } else {
      PGDUET_ASSIGN_OR_RETURN(const bool wanted, Propose(change));
      if (!wanted) return absl::OkStatus();
    }
    return options_.no_wait ? absl::OkStatus() : Await();
  }

 private:
  absl::StatusOr<std::unique_ptr<PgConnection>> Open(const std::string& conninfo) const {
    return PgConnection::Open(SetSession(conninfo, invocation_.config.set, "policy apply"));
  }

  // False: it is in force already.
  absl::StatusOr<bool> Propose(const Change& newest) {
    PGDUET_ASSIGN_OR_RETURN(const Config wanted, LoadConfig(options_.file, ProcessEnvironment(),
                                                            invocation_.config.set));
    const std::string text = CanonicalPolicyText(wanted);
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult active,
        connection_->Query("SELECT policy_text, policy_settings FROM pgduet.identity"));
    const std::string active_text(active.Text(0, 0));
    if (active_text.empty() || active.Text(0, 1).empty()) {
      return NamedError(absl::StatusCode::kFailedPrecondition, "agent_never_started",
                        "no agent of this version has run in this region yet",
                        "Start the agents first.");
    }
    if (newest.is_open() && newest.policy_text != text) {
      return NamedError(absl::StatusCode::kFailedPrecondition, "policy_change_open",
                        "another change of policies goes on in this region",
                        "Wait for it ('pgduet policy apply --resume'), or take it back (--abort).");
    }
    if (!newest.is_open() && text == active_text) {
      fmt::print("these policies are in force: {}\n", PolicyHashText(PolicyTextHash(text)));
      PGDUET_RETURN_IF_ERROR(CleanUp());
      return false;
    }
    PGDUET_RETURN_IF_ERROR(CheckPoliciesAlone(active_text, text));
    PGDUET_ASSIGN_OR_RETURN(
        const Config current,
        WithPolicySettings(wanted, std::string(active.Text(0, 1)), active_text));
    const std::vector<TableConfig> changed = ChangedTables(current, wanted);
    for (const TableConfig& table : changed)
      fmt::print("table {}: its policy changes\n", table.QualifiedName());
    if (!options_.discard_siblings) PGDUET_RETURN_IF_ERROR(RefuseSiblings(*connection_, changed));
    PGDUET_RETURN_IF_ERROR(
        connection_->Query(kAloneSql, {AloneNumber(invocation_.config.set)}).status());
    RegionSetup setup(wanted, *wanted.FindRegion(invocation_.region), /*dry_run=*/false);
    PGDUET_RETURN_IF_ERROR(setup.AdoptPolicies(/*after=*/false));
    PGDUET_ASSIGN_OR_RETURN(const auto admin, Open(invocation_.self().admin_conninfo()));
    PGDUET_RETURN_IF_ERROR(MakePolicyGates(*admin, changed));
    PGDUET_RETURN_IF_ERROR(
        connection_->Query(kNotAloneSql, {AloneNumber(invocation_.config.set)}).status());
    if (newest.is_open()) return true;
    return Insert(active_text, wanted);
  }

  absl::StatusOr<bool> Insert(const std::string& active_text, const Config& wanted) {
    const std::string text = CanonicalPolicyText(wanted);
    PGDUET_RETURN_IF_ERROR(
        connection_
            ->Query("INSERT INTO pgduet.policy_change (discard_siblings, patience, from_hash, "
                    "to_hash, policy_text, policy_settings) VALUES ($1::integer <> 0, "
                    "$2::interval, $3, "
                    "$4, $5, $6)",
                    {std::to_string(static_cast<int>(options_.discard_siblings)),
                     fmt::format("{} seconds", options_.patience_seconds),
                     PolicyHashText(PolicyTextHash(active_text)),
                     PolicyHashText(PolicyTextHash(text)), text, PolicySettingsText(wanted)})
            .status());
    return true;
  }

  absl::Status Await() {
    std::string shown;
    PGDUET_ASSIGN_OR_RETURN(Change change, NewestChange(*connection_));
    while (change.is_open()) {
      std::string now = change.state;
      if (!change.announced)
        now += ": the agent of this region has to say so";
      else if (!change.reason.empty())
        now += ": " + change.reason;
      if (now != shown) std::fprintf(stderr, "%s\n", now.c_str());
      shown = now;
      absl::SleepFor(absl::Milliseconds(100));
      PGDUET_ASSIGN_OR_RETURN(change, NewestChange(*connection_));
    }
    PGDUET_RETURN_IF_ERROR(CleanUp());
    if (change.state == "applied") {
      fmt::print("in force: {}\n", PolicyHashText(PolicyTextHash(change.policy_text)));
      fmt::print("put the file in place of the agent's: {}\n", invocation_.config.path);
      return absl::OkStatus();
    }
    if (options_.abort) {
      fmt::print("taken back\n");
      return absl::OkStatus();
    }
    return NamedError(absl::StatusCode::kAborted, "policy_change_aborted",
                      fmt::format("the change was taken back in all regions: {}", change.reason),
                      "The old policies are in force everywhere. Mend the reason and run the "
                      "command in all regions again.");
  }

  // Guards against TRUNCATE, as what is in force wants them; no gates. Every command that waited
  // for the change does this: what the first one has removed, the next one does not find.
  absl::Status CleanUp() {
    PGDUET_RETURN_IF_ERROR(
        connection_->Query(kAloneSql, {AloneNumber(invocation_.config.set)}).status());
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult active,
        connection_->Query("SELECT policy_text, policy_settings FROM pgduet.identity"));
    PGDUET_ASSIGN_OR_RETURN(const Config current,
                            WithPolicySettings(invocation_.config, std::string(active.Text(0, 1)),
                                               std::string(active.Text(0, 0))));
    RegionSetup setup(current, invocation_.self(), /*dry_run=*/false);
    PGDUET_RETURN_IF_ERROR(setup.AdoptPolicies(/*after=*/true));
    PGDUET_ASSIGN_OR_RETURN(const auto admin, Open(invocation_.self().admin_conninfo()));
    PGDUET_RETURN_IF_ERROR(DropPolicyGates(*admin, invocation_.config.set));
    return connection_->Query(kNotAloneSql, {AloneNumber(invocation_.config.set)}).status();
  }

  absl::Status Abort() {
    PGDUET_ASSIGN_OR_RETURN(const Change change, NewestChange(*connection_));
    if (!change.is_open()) return NoChange();
    if (change.state == "voted") {
      if (!options_.force || invocation_.self().rank == 0) return Voted();
      return ForceEnd(change);
    }
    PGDUET_RETURN_IF_ERROR(
        connection_
            ->Query("UPDATE pgduet.policy_change SET abort_wanted = true WHERE id = $1::bigint",
                    {std::to_string(change.id)})
            .status());
    return options_.no_wait ? absl::OkStatus() : Await();
  }

  absl::Status Voted() {
    const bool first = invocation_.self().rank == 0;
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "policy_change_voted",
        first ? "this region has decided: the change is made"
              : "this region has sent its mark: the first region decides",
        first ? "Wait for it; then apply the old file."
              : fmt::format("Run it in region {}, or start its agent; docs/operations/policies.md "
                            "says what --force does.",
                            invocation_.config.regions[0].name));
  }

  // Without the first region's word: right only when it has not decided, and never will.
  absl::Status ForceEnd(const Change& change) {
    PGDUET_RETURN_IF_ERROR(
        connection_
            ->Query("INSERT INTO pgduet.policy_notice AS n (rank, kind, change, from_hash, "
                    "to_hash, clock) SELECT $2::smallint, 'abort', change, from_hash, to_hash, 0 "
                    "FROM pgduet.policy_change WHERE id = $1::bigint ON CONFLICT (rank, kind) DO "
                    "UPDATE SET change = greatest(n.change, excluded.change)",
                    {std::to_string(change.id), std::to_string(invocation_.self().rank)})
            .status());
    PGDUET_RETURN_IF_ERROR(
        connection_
            ->Query("UPDATE pgduet.policy_change SET state = 'aborted', reason = 'by force', "
                    "state_at = clock_timestamp() WHERE id = $1::bigint AND state = 'voted'",
                    {std::to_string(change.id)})
            .status());
    PGDUET_RETURN_IF_ERROR(
        connection_->Query("SELECT setval(tableoid::regclass, 1) FROM pgduet.policy_gate")
            .status());
    return Await();
  }

  const Invocation& invocation_;
  const PolicyApplyOptions& options_;
  std::unique_ptr<PgConnection> connection_;
};

}  // namespace

int RunPolicyApply(const Invocation& invocation, const PolicyApplyOptions& options) {
  const absl::Status status = Command(invocation, options).Run();
  return status.ok() ? kExitOk : Fail(status);
}

}  // namespace pgduet
