#include "apply/visible_rows.h"

#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr int kFirstColumn = 4;

VisibleRow RowIn(const PgResult& result, size_t columns) {
  VisibleRow visible;
  if (result.rows() == 0) return visible;
  visible.xid = static_cast<uint32_t>(result.Int(0, 0));
  if (!result.IsNull(0, 1)) visible.time = result.Int(0, 1);
  visible.roident = static_cast<Oid>(result.Int(0, 2));
  visible.own = result.Bool(0, 3);
  RowImage& row = visible.row.emplace(columns);
  for (size_t column = 0; column < columns; ++column) {
    const int at = kFirstColumn + static_cast<int>(column);
    row[column] = result.IsNull(0, at) ? Cell::Null() : Cell::Text(std::string(result.Text(0, at)));
  }
  return visible;
}

}  // namespace

std::vector<PgParameter> KeyParametersOf(const std::string& key_text) {
  std::vector<PgParameter> parameters;
  for (std::string& part : KeyValues(key_text)) parameters.emplace_back(std::move(part));
  return parameters;
}

PgParameter ParameterOf(const Cell& cell) {
  return cell.kind == Cell::Kind::kText ? PgParameter(cell.text) : PgParameter::Null();
}

absl::StatusOr<std::vector<VisibleRow>> ReadVisibleRows(PgPipeline& pipeline,
                                                        const TargetTable& table,
                                                        const std::vector<std::string>& keys) {
  const std::string sql = ReadImageSql(table);
  const std::vector<Oid> types = ScalarTypes(table, table.keys);
  std::vector<size_t> asked;
  for (const std::string& key : keys) {
    PGDUET_ASSIGN_OR_RETURN(const size_t result, pipeline.Add(sql, KeyParametersOf(key), types));
    asked.push_back(result);
  }
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  std::vector<VisibleRow> rows;
  for (const size_t result : asked) rows.push_back(RowIn(results[result], table.columns.size()));
  return rows;
}

absl::StatusOr<std::optional<size_t>> QueueVisibleRow(PgPipeline& pipeline,
                                                      const TargetTable& table,
                                                      const std::string& key_text,
                                                      const std::optional<RowImage>& before,
                                                      const std::optional<RowImage>& after) {
  const std::vector<Oid> key_types = ScalarTypes(table, table.keys);
  if (!after) {
    if (before)
      PGDUET_RETURN_IF_ERROR(
          pipeline.Add(DeleteRowSql(table), KeyParametersOf(key_text), key_types).status());
    return std::optional<size_t>();
  }
  std::vector<int> carried;
  std::vector<PgParameter> parameters;
  for (int column = 0; column < static_cast<int>(table.columns.size()); ++column) {
    if (!(*after)[column].known()) continue;
    carried.push_back(column);
    parameters.push_back(ParameterOf((*after)[column]));
  }
  std::vector<Oid> types = ScalarTypes(table, carried);
  if (!before) {
    PGDUET_ASSIGN_OR_RETURN(const size_t result,
                            pipeline.Add(InsertRowSql(table, carried), parameters, types));
    return std::optional<size_t>(result);
  }
  for (PgParameter& part : KeyParametersOf(key_text)) parameters.push_back(std::move(part));
  types.insert(types.end(), key_types.begin(), key_types.end());
  const std::string sql =
      table.replaces_rows ? ReplaceRowSql(table, carried) : UpdateRowSql(table, carried);
  PGDUET_ASSIGN_OR_RETURN(const size_t result, pipeline.Add(sql, parameters, types));
  return std::optional<size_t>(result);
}

}  // namespace pgduet
