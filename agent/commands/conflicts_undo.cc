// conflicts undo: the losing side, written back as a new ordinary write of the agent's role. It
// fires triggers, is checked by constraints, replicates, and wins as the newest.
//
// The entry is locked, then the row, then everything is looked at; what changed the row since the
// decision is not overwritten without --force.
#include <fmt/format.h>

#include "agent/commands/conflicts_row.h"
#include "agent/commands/conflicts_undo_statement.h"
#include "agent/text_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kByHand[] =
    "Write the row by hand from 'pgduet conflicts show', then dismiss the entry.";

struct Undone {
  Json entry;
  UndoStatement statement;
  RowNow before, after;
  std::vector<std::string> differs;  // columns that are not what the log has: a trigger's work
};

class Undo {
 public:
  Undo(PgConnection& connection, std::string search_path, const Invocation& invocation,
       const UndoOptions& options)
      : connection_(connection),
        search_path_(std::move(search_path)),
        invocation_(invocation),
        options_(options) {}

  absl::StatusOr<Undone> Run() {
    PGDUET_RETURN_IF_ERROR(Begin());
    PGDUET_RETURN_IF_ERROR(LockEntry());
    PGDUET_ASSIGN_OR_RETURN(table_, FindConflictTable(connection_, done_.entry));
    PGDUET_RETURN_IF_ERROR(LockRow());
    PGDUET_ASSIGN_OR_RETURN(done_.before, Look());
    PGDUET_RETURN_IF_ERROR(Prepare());
    if (done_.statement.action != UndoAction::kNothing) PGDUET_RETURN_IF_ERROR(Write());
    PGDUET_ASSIGN_OR_RETURN(done_.after, Look());
    PGDUET_RETURN_IF_ERROR(Compare());
    PGDUET_RETURN_IF_ERROR(Mark());
    PGDUET_RETURN_IF_ERROR(
        Refused(connection_.Query(options_.dry_run ? "ROLLBACK" : "COMMIT").status()));
    return std::move(done_);
  }

 private:
  // Without a replication origin (a fresh session has none), and with triggers as for everybody.
  absl::Status Begin() {
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult role,
        connection_.Query("SELECT current_setting('session_replication_role') = 'origin'"));
    if (!role.Bool(0, 0))
      PGDUET_RETURN_IF_ERROR(connection_.Query("SET session_replication_role = origin").status());
    return connection_.Query("BEGIN").status();
  }

  absl::Status LockEntry() {
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult locked,
        connection_.Query("SELECT FROM pgduet.conflict WHERE id = $1::bigint FOR UPDATE", {id_}));
    if (locked.rows() == 0) return NoSuchConflict(id_);
    PGDUET_ASSIGN_OR_RETURN(done_.entry, LoadEntry(connection_, options_.id));
    if (done_.entry["lost"].is_null() || done_.entry["key"].is_null()) {
      return NamedError(absl::StatusCode::kFailedPrecondition, "nothing_to_undo",
                        fmt::format("this conflict lost nothing: id={}", id_),
                        "Nothing needs to be done about it.");
    }
    if (done_.entry["undone_at"].is_null() || options_.force) return absl::OkStatus();
    return NamedError(absl::StatusCode::kFailedPrecondition, "undone_already",
                      fmt::format("this conflict was undone before: id={}", id_),
                      "See 'pgduet conflicts show'; --force writes the losing side once more.");
  }

  absl::Status LockRow() {
    return connection_
        .Query(fmt::format("SELECT FROM pgduet.conflict c CROSS JOIN LATERAL {} JOIN {} t ON {} "
                           "WHERE c.id = $1::bigint FOR UPDATE OF t",
                           KeyRecordSql(*table_), table_->quoted, KeyMatchSql(*table_)),
               {id_})
        .status();
  }

  absl::StatusOr<RowNow> Look() {
    return ReadRowNow(connection_, invocation_, *table_, options_.id);
  }

  absl::Status Prepare() {
    if (!done_.before.stands && !options_.force) {
      return NamedError(absl::StatusCode::kFailedPrecondition, "row_changed_since",
                        fmt::format("the row is not what this conflict left: id={} row={}", id_,
                                    StandingText(done_.before)),
                        "See 'pgduet conflicts show'; --force overwrites what came later.");
    }
    losing_row_ = done_.entry["winner"] == "remote" ? "local_row" : "remote_row";
    std::set<std::string> logged, generated;
    const Json& row = done_.entry[losing_row_];
    if (row.is_object()) {
      for (const auto& item : row.items()) logged.insert(item.key());
    }
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult names,
        connection_.Query("SELECT attname FROM pg_attribute WHERE attrelid = $1::oid AND attnum > "
                          "0 AND attgenerated <> ''",
                          {std::to_string(table_->oid)}));
    for (int at = 0; at < names.rows(); ++at) generated.emplace(names.Text(at, 0));
    done_.statement = BuildUndo(*table_,
                                {.lost_delete = done_.entry["lost"] == "delete",
                                 .row_exists = done_.before.exists,
                                 .logged = &logged,
                                 .generated = &generated},
                                losing_row_);
    if (done_.statement.lacking.empty()) return absl::OkStatus();
    return NamedError(
        absl::StatusCode::kFailedPrecondition, "row_incomplete",
        fmt::format("there is no row to complete, and the log lacks columns: id={} columns={}", id_,
                    fmt::join(done_.statement.lacking, ",")),
        kByHand);
  }

  // Triggers run as they do for an application: with the role's own search path. What is deferred
  // to the commit is checked here, so that a dry run tells, too.
  absl::Status Write() {
    PGDUET_RETURN_IF_ERROR(
        connection_.Query("SELECT set_config('search_path', $1, true)", {search_path_}).status());
    absl::StatusOr<PgResult> written = connection_.Query(done_.statement.sql, {id_});
    if (!written.ok()) return Refused(written.status());
    if (written->affected() != 1) {
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "undo_refused",
          fmt::format("the write touched no row: id={} table={}", id_, table_->quoted),
          "A trigger or a rule of the table keeps it out. " + std::string(kByHand));
    }
    PGDUET_RETURN_IF_ERROR(Refused(connection_.Query("SET CONSTRAINTS ALL IMMEDIATE").status()));
    return connection_.Query("SET LOCAL search_path = pg_catalog").status();
  }

  absl::Status Refused(const absl::Status& status) {
    if (status.ok() || absl::IsUnavailable(status) || absl::IsAborted(status)) return status;
    return WithContext(
        Renamed(status, absl::StatusCode::kFailedPrecondition, "undo_refused", kByHand),
        fmt::format("undo of conflict {}", id_));
  }

  absl::Status Compare() {
    if (done_.statement.action != UndoAction::kUpdate &&
        done_.statement.action != UndoAction::kInsert)
      return absl::OkStatus();
    const Json& wanted = done_.entry[losing_row_];
    for (const std::string& column : done_.statement.written) {
      if (!done_.after.row.is_object() || done_.after.row.value(column, Json()) != wanted[column])
        done_.differs.push_back(column);
    }
    return absl::OkStatus();
  }

  absl::Status Mark() {
    return connection_
        .Query(
            "UPDATE pgduet.conflict SET undone_at = clock_timestamp(), undone_by = $2 WHERE id "
            "= $1::bigint",
            {id_, Person()})
        .status();
  }

  PgConnection& connection_;
  const std::string search_path_;  // of the role
  const Invocation& invocation_;
  const UndoOptions& options_;
  const std::string id_ = std::to_string(options_.id);
  std::shared_ptr<const TargetTable> table_;
  std::string losing_row_;
  Undone done_;
};

void PrintJson(const Undone& undone, const UndoOptions& options) {
  Json left = Json::array();
  for (const LeftColumn& one : undone.statement.left)
    left.push_back({{"column", one.name}, {"reason", one.reason}});
  const Json json = {{"id", options.id},
                     {"dry_run", options.dry_run},
                     {"action", UndoActionName(undone.statement.action)},
                     {"columns", undone.statement.written},
                     {"left", left},
                     {"differs", undone.differs}};
  std::string text = json.dump();
  text.pop_back();  // rows as the database writes them
  fmt::print("{},\"before\":{},\"after\":{}}}\n", text, undone.before.json, undone.after.json);
}

void Print(const Undone& undone, const UndoOptions& options) {
  const std::string action(UndoActionName(undone.statement.action));
  fmt::print(
      "{}conflict {} on {} {}: {}\n", options.dry_run ? "dry run, nothing is changed; " : "",
      options.id, Shown(Text(undone.entry["table"])), Shown(Text(undone.entry["key"])),
      undone.statement.action == UndoAction::kNothing ? "the row is like that already" : action);
  TextTable table({"column", "before", "after", ""});
  std::set<std::string> columns;
  for (const Json* row : {&undone.before.row, &undone.after.row}) {
    if (!row->is_object()) continue;
    for (const auto& item : row->items()) columns.insert(item.key());
  }
  for (const std::string& column : columns) {
    const std::string before = Cell(undone.before.row, column),
                      after = Cell(undone.after.row, column);
    table.Add({Shown(column), Shown(before), Shown(after), before == after ? "" : "*"});
  }
  if (table.rows() > 0) fmt::print("{}", table.ToString());
  for (const LeftColumn& one : undone.statement.left)
    fmt::print("not written: {} ({})\n", one.name, one.reason);
  if (!undone.differs.empty())
    fmt::print("not as in the log (a trigger?): {}\n", fmt::join(undone.differs, ", "));
}

}  // namespace

int RunConflictsUndo(const Invocation& invocation, const UndoOptions& options) {
  std::string search_path;
  absl::StatusOr<std::unique_ptr<PgConnection>> connection =
      OpenConflictLog(invocation, &search_path);
  if (!connection.ok()) return Fail(connection.status());
  absl::StatusOr<Undone> undone = Undo(**connection, search_path, invocation, options).Run();
  if (!undone.ok()) return Fail(undone.status());
  if (invocation.json) {
    PrintJson(*undone, options);
  } else {
    Print(*undone, options);
  }
  return kExitOk;
}

}  // namespace pgduet
