#include "apply/set_parameters.h"

#include <utility>

namespace pgduet {

std::vector<ArrayLiteral> ColumnArrays(const TargetTable& table, const std::vector<int>& columns) {
  std::vector<ArrayLiteral> literals;
  literals.reserve(columns.size());
  for (const int column : columns) {
    const TargetColumn& one = table.columns[column];
    literals.emplace_back(one.is_array ? ',' : one.delimiter);
  }
  return literals;
}

PgParameter ToParameter(const Value& value) {
  return value.kind == ValueKind::kNull ? PgParameter::Null()
                                        : PgParameter(std::string(value.bytes));
}

void AddValue(ArrayLiteral& literal, const Value& value) {
  if (value.kind == ValueKind::kNull) {
    literal.AddNull();
  } else {
    literal.Add(value.bytes);
  }
}

std::vector<PgParameter> Finished(std::vector<ArrayLiteral> literals) {
  std::vector<PgParameter> parameters;
  parameters.reserve(literals.size());
  for (ArrayLiteral& literal : literals) parameters.emplace_back(std::move(literal).Finish());
  return parameters;
}

std::vector<PgParameter> KeyArrays(const TableGroups& table, const std::vector<size_t>& groups) {
  std::vector<ArrayLiteral> literals = ColumnArrays(*table.table, table.table->keys);
  for (const size_t group : groups) {
    const std::vector<std::string> parts = KeyValues(table.groups[group].key_text);
    for (size_t part = 0; part < parts.size(); ++part) literals[part].Add(parts[part]);
  }
  return Finished(std::move(literals));
}

}  // namespace pgduet
