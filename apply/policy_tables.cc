#include "apply/policy_tables.h"

#include <algorithm>

namespace pgduet {
namespace {

constexpr Oid kInt8 = 20, kInt2 = 21, kInt4 = 23, kFloat4 = 700, kFloat8 = 701;

void SetBounds(Oid type, ShapeColumn& column) {
  if (type == kInt2) {
    column.low = "-32768";
    column.high = "32767";
  } else if (type == kInt4) {
    column.low = "-2147483648";
    column.high = "2147483647";
  } else if (type == kInt8) {
    column.low = "-9223372036854775808";
    column.high = "9223372036854775807";
  } else if (type == kFloat4) {
    column.low = "-3.4028235e+38";
    column.high = "3.4028235e+38";
    column.float_bits = 32;
  } else if (type == kFloat8) {
    column.low = "-1.7976931348623157e+308";
    column.high = "1.7976931348623157e+308";
    column.float_bits = 64;
  }
}

int GroupOf(const TablePolicy& policy, const std::string& column) {
  for (size_t group = 0; group < policy.groups.size(); ++group) {
    const std::vector<std::string>& names = policy.groups[group];
    if (std::find(names.begin(), names.end(), column) != names.end())
      return static_cast<int>(group);
  }
  return -1;
}

}  // namespace

const TablePolicy* PolicyTables::Find(const std::string& schema, const std::string& name) const {
  if (policies_.empty()) return nullptr;  // asked for each deleted row
  const auto at = policies_.find({schema, name});
  return at == policies_.end() ? nullptr : &at->second;
}

RowShape ShapeOf(const TargetTable& table, const TablePolicy& policy) {
  RowShape shape{.policy = policy, .columns = {}};
  for (const TargetColumn& column : table.columns) {
    ShapeColumn one{.name = column.name,
                    .kind = policy.KindOf(column.name),
                    .group = GroupOf(policy, column.name),
                    .json = !column.is_array,
                    .low = {},
                    .high = {}};
    SetBounds(column.type_oid, one);
    shape.columns.push_back(std::move(one));
  }
  return shape;
}

RowImage ImageOf(const TargetTable& table, std::span<const Value> row) {
  RowImage image(table.columns.size());
  for (size_t column = 0; column < image.size(); ++column) {
    const auto source = static_cast<size_t>(table.source_index[column]);
    if (source >= row.size()) continue;
    const Value& value = row[source];
    if (value.kind == ValueKind::kNull) image[column] = Cell::Null();
    if (value.kind == ValueKind::kText) image[column] = Cell::Text(std::string(value.bytes));
  }
  return image;
}

}  // namespace pgduet
