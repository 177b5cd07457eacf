#include "apply/row_writes.h"

#include <optional>
#include <span>

#include "apply/policy_tables.h"

namespace pgduet {
namespace {

using Steps = std::span<const KeyStep>;

RowImage OldImage(const TargetTable& table, const KeyStep& step) {
  if (step.kind == ChangeKind::kInsert || step.old_row_kind != OldRow::kFull) return {};
  return ImageOf(table, step.old_row);
}

// Values that a later change did not touch are those of the earlier one.
RowImage NewImage(const TargetTable& table, Steps steps) {
  RowImage image(table.columns.size());
  for (const KeyStep& step : steps) {
    if (step.kind == ChangeKind::kDelete) continue;
    const RowImage next = ImageOf(table, step.row);
    for (size_t column = 0; column < image.size(); ++column) {
      if (next[column].known()) image[column] = next[column];
    }
  }
  return image;
}

std::optional<RowWrite> WriteOf(const TargetTable& table, const ApplyUnit& unit, Steps steps) {
  const bool was = steps.front().kind != ChangeKind::kInsert;
  const bool is = steps.back().kind != ChangeKind::kDelete;
  if (!was && !is) return std::nullopt;
  RowWrite write{.dot = DotOf(unit.header),
                 .kind = was && is ? ChangeKind::kUpdate
                         : is      ? ChangeKind::kInsert
                                   : ChangeKind::kDelete,
                 .vector = &unit.vector,
                 .old_row = OldImage(table, steps.front()),
                 .new_row = {}};
  if (is) write.new_row = NewImage(table, steps);
  return write;
}

}  // namespace

Dot DotOf(const RecordHeader& header) {
  return {.rank = header.rank,
          .incarnation = header.incarnation,
          .lsn = header.commit_lsn,
          .time = header.commit_time};
}

std::vector<RowWrite> WritesOf(const TargetTable& table, const KeyGroup& group,
                               const std::vector<ApplyUnit>& units) {
  std::vector<RowWrite> writes;
  for (size_t begin = 0; begin < group.steps.size();) {
    size_t end = begin + 1;
    while (end < group.steps.size() && group.steps[end].unit == group.steps[begin].unit) ++end;
    const Steps steps = Steps(group.steps).subspan(begin, end - begin);
    if (auto write = WriteOf(table, units[steps.front().unit], steps))
      writes.push_back(*std::move(write));
    begin = end;
  }
  return writes;
}

}  // namespace pgduet
