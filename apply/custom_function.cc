#include "apply/custom_function.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apply/table_sql.h"
#include "apply/visible_rows.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kSavepoint[] = "SAVEPOINT pgduet_custom";

std::string ContextOf(const Member& left, const Member& right, const RegionIdentity& identity,
                      const TargetTable& table) {
  const auto side = [&](const Member& member) {
    return nlohmann::json{{"region", identity.NameOf(member.dot.rank)},
                          {"time_microseconds", member.dot.time},
                          {"deleted", member.deleted}};
  };
  return nlohmann::json{
      {"table", table.schema + "." + table.name}, {"left", side(left)}, {"right", side(right)}}
      .dump();
}

// One call. `left` is a member's row, or the jsonb text that the call before gave.
struct Argument {
  std::optional<RowImage> row;
  std::optional<std::string> json;
};

std::string AddArgument(const TargetTable& table, const Argument& argument,
                        std::vector<PgParameter>& parameters, std::vector<Oid>& types) {
  const int first = static_cast<int>(parameters.size()) + 1;
  if (!argument.row) {
    parameters.push_back(argument.json ? PgParameter(*argument.json) : PgParameter::Null());
    types.push_back(25);
    return fmt::format("${}::jsonb", first);
  }
  const std::vector<int> columns = AllColumns(table);
  for (const int column : columns) parameters.push_back(ParameterOf((*argument.row)[column]));
  for (const Oid type : ScalarTypes(table, columns)) types.push_back(type);
  return JsonOfParameters(table, columns, first);
}

absl::StatusOr<Argument> Call(PgPipeline& pipeline, const TargetTable& table,
                              const TablePolicy& policy, const Argument& left,
                              const Argument& right, const std::string& context) {
  std::vector<PgParameter> parameters;
  std::vector<Oid> types;
  const std::string left_sql = AddArgument(table, left, parameters, types);
  const std::string right_sql = AddArgument(table, right, parameters, types);
  parameters.emplace_back(context);
  types.push_back(25);
  PGDUET_RETURN_IF_ERROR(pipeline
                             .Add("SELECT set_config('statement_timeout', $1, true)",
                                  {std::to_string(policy.function_timeout_ms)}, {25})
                             .status());
  PGDUET_ASSIGN_OR_RETURN(
      const size_t asked,
      pipeline.Add(fmt::format("SELECT {}({}, {}, ${}::jsonb)::text", policy.function, left_sql,
                               right_sql, parameters.size()),
                   parameters, types));
  PGDUET_RETURN_IF_ERROR(
      pipeline.Add("SELECT set_config('statement_timeout', '0', true)", {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  Argument result;
  if (!results[asked].IsNull(0, 0)) result.json = std::string(results[asked].Text(0, 0));
  return result;
}

// What the function returned, as a row of the table.
absl::StatusOr<RowImage> RowOf(PgPipeline& pipeline, const TargetTable& table,
                               const std::string& json) {
  std::string columns;
  for (const TargetColumn& column : table.columns)
    columns += fmt::format("{}r.{}", columns.empty() ? "" : ", ", column.quoted);
  PGDUET_ASSIGN_OR_RETURN(
      const size_t asked,
      pipeline.Add(fmt::format("SELECT {} FROM jsonb_populate_record(NULL::{}, $1::jsonb) r",
                               columns, table.quoted),
                   {json}, {25}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  RowImage row(table.columns.size());
  for (size_t column = 0; column < row.size(); ++column) {
    const int at = static_cast<int>(column);
    row[column] = results[asked].IsNull(0, at)
                      ? Cell::Null()
                      : Cell::Text(std::string(results[asked].Text(0, at)));
  }
  return row;
}

absl::StatusOr<std::optional<RowImage>> Fold(PgPipeline& pipeline, const TargetTable& table,
                                             const RowEngine& engine, const RowState& state,
                                             const RegionIdentity& identity) {
  const std::vector<const Member*> members = RowEngine::CustomOrder(state);
  Argument folded{.row = members.front()->row, .json = {}};
  for (size_t at = 1; at < members.size(); ++at) {
    PGDUET_ASSIGN_OR_RETURN(
        folded,
        Call(pipeline, table, engine.shape().policy, folded, {.row = members[at]->row, .json = {}},
             ContextOf(*members[at - 1], *members[at], identity, table)));
  }
  if (!folded.json) return std::optional<RowImage>();
  PGDUET_ASSIGN_OR_RETURN(RowImage row, RowOf(pipeline, table, *folded.json));
  // The key is the row's name: a function cannot change it.
  for (const Member* member : members) {
    for (const int key : table.keys) {
      if (member->row) row[key] = (*member->row)[key];
    }
  }
  return std::optional<RowImage>(std::move(row));
}

}  // namespace

absl::Status AskFunction(PgPipeline& pipeline, const TargetTable& table, const RowEngine& engine,
                         const RowState& state, const RegionIdentity& identity,
                         std::optional<RowImage>& visible) {
  PGDUET_RETURN_IF_ERROR(pipeline.Add(kSavepoint, {}).status());
  PGDUET_RETURN_IF_ERROR(pipeline.Run().status());
  absl::StatusOr<std::optional<RowImage>> row = Fold(pipeline, table, engine, state, identity);
  if (row.ok()) {
    visible = *std::move(row);
    return absl::OkStatus();
  }
  const std::string sqlstate = SqlState(row.status());
  if (sqlstate == "57014") {
    return Renamed(row.status(), absl::StatusCode::kFailedPrecondition, "custom_timeout",
                   "The table's conflict function took longer than function_timeout. Make it "
                   "faster, or raise the limit at every region; the stream goes on by itself.");
  }
  if (sqlstate.empty() || absl::IsUnavailable(row.status()) || absl::IsAborted(row.status()))
    return row.status();
  PGDUET_RETURN_IF_ERROR(pipeline.Add("ROLLBACK TO SAVEPOINT pgduet_custom", {}).status());
  PGDUET_RETURN_IF_ERROR(pipeline.Run().status());
  const Member& newest = engine.Pick(state);
  visible = newest.deleted ? std::nullopt : newest.row;
  return absl::OkStatus();
}

}  // namespace pgduet
