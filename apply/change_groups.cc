#include "apply/change_groups.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

absl::Status CheckMissingColumns(const Relation& relation, const TargetTable& table,
                                 std::span<const Value> row) {
  for (const int column : table.missing) {
    const ValueKind kind = row[column].kind;
    if (kind == ValueKind::kNull || kind == ValueKind::kUnchanged) continue;
    return NamedError(absl::StatusCode::kFailedPrecondition, "column_missing",
                      fmt::format("column is missing: table={} column={}", table.quoted,
                                  QuoteName(relation.columns[column].name)),
                      "Add the column as it is at the origin; the stream continues by itself.");
  }
  return absl::OkStatus();
}

absl::Status CheckWholeKey(const TargetTable& table, std::span<const Value> key) {
  for (const Value& part : key) {
    if (part.kind == ValueKind::kText) continue;
    return NamedError(absl::StatusCode::kDataLoss, "invalid_record",
                      fmt::format("change without a whole key: table={}", table.quoted),
                      "Compare the replica identity of the table in the two regions.");
  }
  return absl::OkStatus();
}

class Grouper {
 public:
  Grouper(const std::vector<ApplyUnit>& units, TableLookup& catalog, Grouping grouping)
      : units_(units), catalog_(catalog), grouping_(grouping) {
    segments_.emplace_back();
  }

  absl::StatusOr<std::vector<Segment>> Run() && {
    for (uint32_t unit = 0; unit < units_.size(); ++unit) {
      for (const Change& change : units_[unit].batch.changes) {
        PGDUET_RETURN_IF_ERROR(change.kind == ChangeKind::kTruncate ? AddTruncate(unit, change)
                                                                    : AddRow(unit, change));
      }
    }
    return std::move(segments_);
  }

 private:
  // The group list of a relation in the current segment. Another shape of the same table begins a
  // new segment.
  absl::StatusOr<TableGroups*> GroupsOf(const std::shared_ptr<const Relation>& relation) {
    for (TableGroups& one : segments_.back().tables) {
      if (one.relation == relation || *one.relation == *relation) return &one;
    }
    PGDUET_ASSIGN_OR_RETURN(std::shared_ptr<const TargetTable> table, catalog_.Find(relation));
    const bool other_shape =
        std::any_of(segments_.back().tables.begin(), segments_.back().tables.end(),
                    [&](const TableGroups& one) { return one.table->oid == table->oid; });
    if (other_shape) segments_.emplace_back();
    segments_.back().tables.push_back({.relation = relation, .table = std::move(table)});
    return &segments_.back().tables.back();
  }

  absl::Status AddTruncate(uint32_t unit, const Change& change) {
    const auto& relation = units_[unit].batch.relations[change.relation];
    PGDUET_ASSIGN_OR_RETURN(std::shared_ptr<const TargetTable> table, catalog_.Find(relation));
    Segment& segment = segments_.back();
    segment.truncation = Truncation{.unit = unit, .relation = relation, .table = std::move(table)};
    segments_.emplace_back();
    return absl::OkStatus();
  }

  absl::Status AddRow(uint32_t unit, const Change& change) {
    const ChangeBatch& batch = units_[unit].batch;
    if (grouping_ == Grouping::kOneByOne && !segments_.back().tables.empty())
      segments_.emplace_back();
    PGDUET_ASSIGN_OR_RETURN(TableGroups * groups, GroupsOf(batch.relations[change.relation]));
    const std::span<const Value> row = batch.NewRow(change);
    const std::span<const Value> old_row = batch.OldRowOf(change);
    KeyStep step{.unit = unit,
                 .kind = change.kind,
                 .row = row,
                 .old_row = old_row,
                 .old_row_kind = change.old_row};
    if (change.kind == ChangeKind::kDelete) {
      return AddStep(*groups, groups->table->KeyOf(old_row), step);
    }
    PGDUET_RETURN_IF_ERROR(CheckMissingColumns(*groups->relation, *groups->table, row));
    std::vector<Value> key = groups->table->KeyOf(row);
    PGDUET_RETURN_IF_ERROR(CheckWholeKey(*groups->table, key));
    if (change.kind == ChangeKind::kUpdate && change.old_row != OldRow::kNone) {
      const std::vector<Value> old_key = groups->table->KeyOf(old_row);
      if (KeyText(*groups->table, key) != KeyText(*groups->table, old_key)) {
        const bool incomplete = std::any_of(row.begin(), row.end(), [](const Value& value) {
          return value.kind == ValueKind::kUnchanged;
        });
        if (incomplete) {  // after everything before it
          segments_.emplace_back();
          PGDUET_ASSIGN_OR_RETURN(groups, GroupsOf(batch.relations[change.relation]));
        }
        KeyStep gone{.unit = unit,
                     .kind = ChangeKind::kDelete,
                     .row = {},
                     .old_row = old_row,
                     .old_row_kind = change.old_row};
        PGDUET_RETURN_IF_ERROR(AddStep(*groups, old_key, gone));
        step.kind = ChangeKind::kInsert;
        if (incomplete) {
          PGDUET_RETURN_IF_ERROR(AddStep(*groups, key, step));
          segments_.back().incomplete_move = true;
          segments_.emplace_back();
          return absl::OkStatus();
        }
      }
    }
    return AddStep(*groups, key, step);
  }

  absl::Status AddStep(TableGroups& groups, std::span<const Value> key, const KeyStep& step) {
    PGDUET_RETURN_IF_ERROR(CheckWholeKey(*groups.table, key));
    std::string text = KeyText(*groups.table, key);
    auto [at, fresh] = groups.by_key.try_emplace(text, groups.groups.size());
    if (fresh) {
      KeyGroup& group = groups.groups.emplace_back();
      group.key_hash = KeyHash(text);
      group.key_text = std::move(text);
    }
    groups.groups[at->second].steps.push_back(step);
    return absl::OkStatus();
  }

  const std::vector<ApplyUnit>& units_;
  TableLookup& catalog_;
  const Grouping grouping_;
  std::vector<Segment> segments_;
};

}  // namespace

NetEffect KeyGroup::net() const {
  const bool existed = steps.front().kind != ChangeKind::kInsert;
  const bool exists = steps.back().kind != ChangeKind::kDelete;
  if (existed) return exists ? NetEffect::kUpdate : NetEffect::kDelete;
  return exists ? NetEffect::kInsert : NetEffect::kTransient;
}

const Value& KeyGroup::FinalValue(int source_column, size_t first_step) const {
  size_t step = steps.size();
  while (step-- > first_step) {
    // What stood before a delete does not come back.
    if (steps[step].kind == ChangeKind::kDelete) break;
    const Value& value = steps[step].row[source_column];
    if (value.kind != ValueKind::kUnchanged) return value;
    if (steps[step].kind == ChangeKind::kInsert) return value;
  }
  return steps.back().row[source_column];
}

absl::StatusOr<std::vector<Segment>> GroupChanges(const std::vector<ApplyUnit>& units,
                                                  TableLookup& catalog, Grouping grouping) {
  return Grouper(units, catalog, grouping).Run();
}

}  // namespace pgduet
