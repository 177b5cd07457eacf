#include "agent/setup/region_setup.h"

#include <random>

#include <fmt/format.h>

#include "agent/config_values.h"
#include "agent/names.h"
#include "agent/policy_text.h"
#include "agent/setup/findings.h"
#include "apply/target_table.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"
#include "schemas/version.h"
#include "transport/kafka_admin.h"
#include "transport/kafka_log.h"

namespace pgduet {
namespace {

constexpr const char* kOriginFunctions[] = {
    "pg_replication_origin_create(text)",
    "pg_replication_origin_drop(text)",
    "pg_replication_origin_oid(text)",
    "pg_replication_origin_session_setup(text)",
    "pg_replication_origin_session_reset()",
    "pg_replication_origin_session_is_setup()",
    "pg_replication_origin_session_progress(boolean)",
    "pg_replication_origin_xact_setup(pg_lsn, timestamptz)",
    "pg_replication_origin_xact_reset()",
    "pg_replication_origin_progress(text, boolean)",
};

Incarnation NewIncarnation() {
  std::random_device random;
  Incarnation incarnation = 0;
  while (incarnation == 0) incarnation = static_cast<uint64_t>(random()) << 32 | random();
  return incarnation;
}

absl::StatusOr<bool> Exists(PgConnection& connection, const std::string& sql,
                            const std::vector<std::optional<std::string>>& parameters) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult rows, connection.Query(sql, parameters));
  return rows.rows() > 0;
}

}  // namespace

void RegionSetup::Say(const std::string& text) const {
  if (!dry_run_) fmt::print("{}\n", text);
}

absl::Status RegionSetup::Do(const std::string& sql, const std::string& done) {
  if (dry_run_) {
    fmt::print("{};\n", admin_->Worded(sql));
    return absl::OkStatus();
  }
  if (absl::Status status = admin_->Query(sql).status(); !status.ok()) {
    if (SqlState(status) != "42501") return WithContext(status, done);
    return WithContext(Renamed(status, absl::StatusCode::kFailedPrecondition, "admin_right_missing",
                               fmt::format("Configure postgres_admin for region {} with a role "
                                           "that may, or run it yourself: {};",
                                           region_.name, admin_->Worded(sql))),
                       done);
  }
  Say(done);
  return absl::OkStatus();
}

absl::Status RegionSetup::Run() {
  if (absl::Status connected = Connect(); !connected.ok()) {
    return absl::IsCancelled(connected) ? absl::OkStatus() : connected;
  }
  PGDUET_RETURN_IF_ERROR(RefuseUnready());
  PGDUET_RETURN_IF_ERROR(MakeSidecar());
  PGDUET_RETURN_IF_ERROR(Grant());
  PGDUET_RETURN_IF_ERROR(GuardAgainstTruncate());
  PGDUET_RETURN_IF_ERROR(MakePublication());
  PGDUET_RETURN_IF_ERROR(MakeOrigins());
  PGDUET_RETURN_IF_ERROR(MakeSlotsAndIdentity());
  PGDUET_RETURN_IF_ERROR(UpdateRegions());
  PGDUET_RETURN_IF_ERROR(AdoptPolicySet());
  return MakeTopic();
}

// A file with yet another set than 'policy apply' has brought and left is meant: other tables, say.
// The one that was left may be an old file in an old place.
absl::Status RegionSetup::AdoptPolicySet() {
  if (dry_run_) return absl::OkStatus();
  const std::string text = CanonicalPolicyText(config_);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult row,
      runtime_->Query("DELETE FROM pgduet.policy_set WHERE $1 NOT IN (policy_text, previous_text) "
                      "AND NOT EXISTS (SELECT FROM pgduet.policy_change WHERE state IN "
                      "('proposed', 'going', 'fenced', 'voted'))",
                      {text}));
  if (row.affected() > 0) Say("the file's policies take the place of those applied online");
  return absl::OkStatus();
}

// The role that the agent's conninfo names is made when there is an admin to make it.
absl::Status RegionSetup::MakeRole() {
  const std::string user = ConninfoValue(region_.postgres, "user");
  if (region_.postgres_admin.empty() || user.empty()) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const bool there,
                          Exists(*admin_, "SELECT 1 FROM pg_roles WHERE rolname = $1", {user}));
  if (there) return absl::OkStatus();
  std::string sql = fmt::format("CREATE ROLE {} LOGIN REPLICATION", QuoteName(user));
  const std::string password = ConninfoValue(region_.postgres, "password");
  if (!password.empty())
    sql += " PASSWORD " + (dry_run_ ? "'***'" : admin_->QuoteLiteral(password));
  return Do(sql, fmt::format("role {} created", user));
}

absl::Status RegionSetup::Connect() {
  PGDUET_ASSIGN_OR_RETURN(
      admin_, PgConnection::Open(SetSession(region_.admin_conninfo(), config_.set, "init")));
  PGDUET_RETURN_IF_ERROR(admin_->Query("SET client_min_messages = warning").status());
  PGDUET_RETURN_IF_ERROR(MakeRole());
  absl::StatusOr<std::unique_ptr<PgConnection>> runtime =
      PgConnection::Open(SetSession(region_.postgres, config_.set, "init"));
  if (!runtime.ok() && dry_run_) {
    fmt::print(
        "-- the rest is printed once the role of the agent's conninfo exists and may connect\n");
    return absl::CancelledError();
  }
  PGDUET_RETURN_IF_ERROR(runtime.status());
  runtime_ = *std::move(runtime);
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult role,
      runtime_->Query("SELECT quote_ident(current_user), rolsuper, rolreplication FROM pg_roles "
                      "WHERE rolname = current_user"));
  role_ = std::string(role.Text(0, 0));
  role_is_super_ = role.Bool(0, 1);
  role_replicates_ = role.Bool(0, 2);
  PGDUET_ASSIGN_OR_RETURN(const PgResult same,
                          admin_->Query("SELECT (SELECT system_identifier FROM "
                                        "pg_control_system())::text || current_database()"));
  PGDUET_ASSIGN_OR_RETURN(const PgResult ours,
                          runtime_->Query("SELECT (SELECT system_identifier FROM "
                                          "pg_control_system())::text || current_database()"));
  if (same.Text(0, 0) == ours.Text(0, 0)) return absl::OkStatus();
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "admin_database_differs",
      fmt::format("postgres and postgres_admin lead to different databases: region={}",
                  region_.name),
      "Give both the same host, port and dbname.");
}

absl::Status RegionSetup::RefuseUnready() {
  Findings findings;
  CheckServer(config_, region_, *admin_, findings);
  CheckTables(config_, *admin_, findings);
  CheckPolicies(config_, *admin_, findings);
  CheckForeignKeys(config_, *admin_, findings);
  std::string list;
  for (const Finding& one : findings) {
    if (one.severity == Severity::kError)
      list += fmt::format("\n  {} [{}]\n    {}", one.what, one.name, one.remedy);
  }
  if (list.empty()) return absl::OkStatus();
  return NamedError(absl::StatusCode::kFailedPrecondition, "not_ready",
                    "the database is not ready:" + list,
                    "Mend these and run 'pgduet init' again; nothing was changed in the database.");
}

absl::Status RegionSetup::MakeSidecar() {
  const std::string schema = SidecarSchema(config_.set);
  PGDUET_ASSIGN_OR_RETURN(
      const bool there, Exists(*admin_, "SELECT 1 FROM pg_namespace WHERE nspname = $1", {schema}));
  if (!there)
    PGDUET_RETURN_IF_ERROR(Do(fmt::format("CREATE SCHEMA {} AUTHORIZATION {}", schema, role_),
                              fmt::format("schema {} created", schema)));
  PGDUET_RETURN_IF_ERROR(Do(fmt::format("REVOKE ALL ON SCHEMA {} FROM PUBLIC", schema),
                            fmt::format("schema {} closed to others", schema)));
  if (dry_run_) {
    fmt::print("{}", SidecarSql(config_.set));
    if (there) {
      PGDUET_ASSIGN_OR_RETURN(has_identity_,
                              Exists(*runtime_, "SELECT 1 FROM pgduet.identity", {}));
    }
    return absl::OkStatus();
  }
  PGDUET_RETURN_IF_ERROR(runtime_->Query("SET client_min_messages = warning").status());
  PGDUET_RETURN_IF_ERROR(
      WithContext(runtime_->Query(SidecarSql(config_.set)).status(), "create the sidecar tables"));
  Say("sidecar tables are in place");
  PGDUET_ASSIGN_OR_RETURN(has_identity_, Exists(*runtime_, "SELECT 1 FROM pgduet.identity", {}));
  return absl::OkStatus();
}

absl::Status RegionSetup::Grant() {
  if (role_is_super_) return absl::OkStatus();
  if (!role_replicates_)
    PGDUET_RETURN_IF_ERROR(
        Do(fmt::format("ALTER ROLE {} REPLICATION", role_), "role may replicate"));
  PGDUET_RETURN_IF_ERROR(Do("GRANT SET ON PARAMETER session_replication_role TO " + role_,
                            "role may apply without firing triggers"));
  for (const char* function : kOriginFunctions) {
    PGDUET_RETURN_IF_ERROR(
        Do(fmt::format("GRANT EXECUTE ON FUNCTION pg_catalog.{} TO {}", function, role_),
           fmt::format("role may call {}", function)));
  }
  for (const TableConfig& table : config_.tables) {
    PGDUET_RETURN_IF_ERROR(
        Do(fmt::format("GRANT USAGE ON SCHEMA {} TO {}", QuoteName(table.schema), role_),
           fmt::format("role may use schema {}", table.schema)));
    PGDUET_RETURN_IF_ERROR(Do(
        fmt::format("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}", table.QuotedName(), role_),
        fmt::format("role may write {}", table.QualifiedName())));
    if (!table.policy.function.empty()) PGDUET_RETURN_IF_ERROR(GrantFunction(table.policy));
  }
  return absl::OkStatus();
}

// As a rule everybody may call functions, and only the schema is closed.
absl::Status RegionSetup::GrantFunction(const TablePolicy& policy) {
  const std::string signature = policy.function + "(jsonb, jsonb, jsonb)";
  const std::string schema = ParseTableName(policy.function).schema;
  PGDUET_ASSIGN_OR_RETURN(
      const bool may,
      Exists(*admin_,
             "SELECT 1 WHERE has_schema_privilege(to_regrole($1)::oid, $2, 'USAGE') AND "
             "has_function_privilege(to_regrole($1)::oid, $3, 'EXECUTE')",
             {role_, schema, signature}));
  if (may) return absl::OkStatus();
  PGDUET_RETURN_IF_ERROR(Do(fmt::format("GRANT USAGE ON SCHEMA {} TO {}", QuoteName(schema), role_),
                            fmt::format("role may use schema {}", schema)));
  return Do(fmt::format("GRANT EXECUTE ON FUNCTION {} TO {}", signature, role_),
            fmt::format("role may call {}", signature));
}

absl::Status RegionSetup::MakePublication() {
  const std::string name = QuoteName(PublicationName(config_.group, config_.set));
  std::string tables;
  for (const TableConfig& table : config_.tables)
    tables += (tables.empty() ? "" : ", ") + table.QuotedName();
  PGDUET_ASSIGN_OR_RETURN(const bool there,
                          Exists(*admin_, "SELECT 1 FROM pg_publication WHERE pubname = $1",
                                 {PublicationName(config_.group, config_.set)}));
  if (!there) {
    return Do(
        fmt::format("CREATE PUBLICATION {} FOR TABLE {} WITH (publish_via_partition_root = true)",
                    name, tables),
        "publication created");
  }
  PGDUET_ASSIGN_OR_RETURN(
      const bool same,
      Exists(*admin_,
             "SELECT 1 WHERE (SELECT array_agg(schemaname || '.' || tablename ORDER BY 1) FROM "
             "(SELECT schemaname::text, tablename::text FROM pg_publication_tables WHERE pubname = "
             "$1 ORDER BY 1, 2) t) "
             "IS NOT DISTINCT FROM $2::text[]",
             {PublicationName(config_.group, config_.set), [&] {
                ArrayLiteral names;
                for (const TableConfig& table : config_.tables) names.Add(table.QualifiedName());
                return std::move(names).Finish();
              }()}));
  if (same) return absl::OkStatus();
  return Do(fmt::format("ALTER PUBLICATION {} SET TABLE {}", name, tables),
            "publication's tables set to the configured ones (rows that a new table holds are not "
            "copied)");
}

absl::Status RegionSetup::MakeOrigins() {
  for (const std::string& origin : OriginNames(config_, region_.name)) {
    PGDUET_ASSIGN_OR_RETURN(
        const bool there,
        Exists(*admin_, "SELECT 1 FROM pg_replication_origin WHERE roname = $1", {origin}));
    if (there) continue;
    PGDUET_RETURN_IF_ERROR(
        Do(fmt::format("SELECT pg_replication_origin_create({})", admin_->QuoteLiteral(origin)),
           fmt::format("replication origin {} created", origin)));
  }
  return absl::OkStatus();
}

absl::Status RegionSetup::MakeSlotsAndIdentity() {
  const std::string own = SlotName(config_.group, config_.set);
  PGDUET_ASSIGN_OR_RETURN(
      const bool there,
      Exists(*admin_, "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", {own}));
  if (has_identity_ && !there) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "slot_missing",
        fmt::format("this region was set up before, and its slot is gone: slot={}", own),
        "A new slot would skip what was written since. Compare the regions and set the region up "
        "anew; see "
        "docs/operations/errors.md.");
  }
  if (has_identity_) return CopySlots(own);
  if (there) {
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "slot_exists",
        fmt::format("the slot exists, but this database does not know it: slot={}", own),
        fmt::format("If no agent uses it: SELECT pg_drop_replication_slot('{}'); then run 'pgduet "
                    "init' again.",
                    own));
  }
  if (dry_run_) {
    fmt::print(
        "-- on a replication connection:\nCREATE_REPLICATION_SLOT \"{}\" LOGICAL pgoutput "
        "(SNAPSHOT 'export');\n",
        own);
    fmt::print("-- then {}.identity is filled from the exported snapshot\n",
               SidecarSchema(config_.set));
    return CopySlots(own);
  }
  return CreateSlot(own);
}

// The slot's exported snapshot is the baseline: what it sees was never published, what it does not
// see will be.
absl::Status RegionSetup::CreateSlot(const std::string& slot) {
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<PgConnection> replication,
                          PgConnection::Open({.conninfo = region_.postgres,
                                              .application_name = "pgduet init",
                                              .replication = true,
                                              .settings = {}}));
  PGDUET_ASSIGN_OR_RETURN(const PgResult system, replication->Query("IDENTIFY_SYSTEM"));
  const std::string system_identifier(system.Text(0, 0)), timeline(system.Text(0, 1));
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult made,
      replication->Query(fmt::format(
          "CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export')", QuoteName(slot))));
  const std::string consistent(made.Text(0, 1)), snapshot(made.Text(0, 2));
  Say(fmt::format("replication slot {} created at {}", slot, consistent));
  PGDUET_RETURN_IF_ERROR(
      runtime_
          ->Query("BEGIN ISOLATION LEVEL REPEATABLE READ; SET TRANSACTION SNAPSHOT " +
                  runtime_->QuoteLiteral(snapshot))
          .status());
  PGDUET_ASSIGN_OR_RETURN(const PgResult seen, runtime_->Query("SELECT pg_current_snapshot()"));
  const std::string baseline(seen.Text(0, 0));
  PGDUET_RETURN_IF_ERROR(runtime_->Query("COMMIT").status());
  PGDUET_RETURN_IF_ERROR(CopySlots(slot));
  PGDUET_RETURN_IF_ERROR(
      runtime_
          ->Query("INSERT INTO pgduet.identity (schema_version, group_name, set_name, region, "
                  "rank, incarnation, system_identifier, "
                  "timeline, baseline_lsn, baseline_snapshot) VALUES ($1, $2, $3, $4, $5, $6, $7, "
                  "$8, $9, $10)",
                  {std::to_string(kSidecarVersion), config_.group, config_.set, region_.name,
                   std::to_string(region_.rank), IncarnationToString(NewIncarnation()),
                   system_identifier, timeline, consistent, baseline})
          .status());
  Say("identity recorded");
  return absl::OkStatus();
}

absl::Status RegionSetup::CopySlots(const std::string& own) {
  for (const std::string& slot : SlotNames(config_, region_.name)) {
    if (slot == own) continue;
    PGDUET_ASSIGN_OR_RETURN(
        const bool there,
        Exists(*admin_, "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1", {slot}));
    if (there) continue;
    if (has_identity_) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "slot_missing",
          fmt::format("this region was set up before, and the slot for a peer is gone: slot={}",
                      slot),
          "The peer must be compared and set up anew; see docs/operations/errors.md.");
    }
    const std::string sql =
        fmt::format("SELECT pg_copy_logical_replication_slot('{}', '{}')", own, slot);
    if (dry_run_) {
      fmt::print("{};\n", sql);
      continue;
    }
    PGDUET_RETURN_IF_ERROR(runtime_->Query(sql).status());
    Say(fmt::format("replication slot {} created", slot));
  }
  return absl::OkStatus();
}

absl::Status RegionSetup::UpdateRegions() {
  if (dry_run_) return absl::OkStatus();
  for (const RegionConfig& one : config_.regions) {
    PGDUET_RETURN_IF_ERROR(runtime_
                               ->Query("INSERT INTO pgduet.region (rank, name) VALUES ($1, $2) ON "
                                       "CONFLICT (rank) DO UPDATE SET name = excluded.name",
                                       {std::to_string(one.rank), one.name})
                               .status());
  }
  return absl::OkStatus();
}

absl::Status RegionSetup::MakeTopic() {
  if (config_.transport != TransportKind::kKafka) return absl::OkStatus();
  const std::string topic = TopicName(config_.group, region_.name, config_.set);
  if (dry_run_) {
    fmt::print("-- on Kafka: topic {} with one partition, cleanup.policy=delete\n", topic);
    if (config_.conflict_topic)
      fmt::print("-- on Kafka: topic {}\n",
                 ConflictTopicName(config_.group, region_.name, config_.set));
    return absl::OkStatus();
  }
  PGDUET_ASSIGN_OR_RETURN(const std::unique_ptr<KafkaAdmin> admin,
                          KafkaAdmin::Open({.brokers = region_.kafka_brokers,
                                            .properties = config_.kafka_properties,
                                            .client_id = "pgduet-init"}));
  PGDUET_RETURN_IF_ERROR(
      admin->CreateTopic(topic, {.retention = config_.kafka_retention_min,
                                 .replication_factor = config_.kafka_replication_factor}));
  Say(fmt::format("topic {} is in place", topic));
  if (config_.conflict_topic) PGDUET_RETURN_IF_ERROR(MakeConflictTopic(*admin));
  const std::vector<absl::Status> wrong = admin->CheckTopic(topic, config_.kafka_retention_min);
  return wrong.empty() ? absl::OkStatus() : wrong.front();
}

// For others, who may want it in another form: one that exists is left as it is.
absl::Status RegionSetup::MakeConflictTopic(KafkaAdmin& admin) {
  const std::string topic = ConflictTopicName(config_.group, region_.name, config_.set);
  PGDUET_RETURN_IF_ERROR(
      admin.CreateTopic(topic, {.retention = config_.conflict_keep,
                                .replication_factor = config_.kafka_replication_factor}));
  Say(fmt::format("topic {} is in place", topic));
  return absl::OkStatus();
}

}  // namespace pgduet
