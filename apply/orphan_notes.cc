#include "apply/orphan_notes.h"

#include <algorithm>

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/tombstone_table.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr size_t kDecidedMax = 1'000;

constexpr char kGoneSql[] =
    "INSERT INTO pgduet.orphan_check (relation, key_digest, key, rank, commit_time) "
    "SELECT $1::oid, d.* FROM unnest($2::uuid[], $3::text[], $4::smallint[], $5::timestamptz[]) d";

constexpr char kKeepSql[] =
    "INSERT INTO pgduet.deleted_parent AS p (relation, key_digest, key, columns, row_values, "
    "commit_time, rank) VALUES ($1::oid, $2::uuid, $3, $4::text[], $5::text[], $6::timestamptz, "
    "$7::smallint) ON CONFLICT (relation, key_digest) DO UPDATE SET columns = excluded.columns, "
    "row_values = excluded.row_values, commit_time = excluded.commit_time, rank = excluded.rank "
    "WHERE (p.commit_time, p.rank) < (excluded.commit_time, excluded.rank)";

// A tombstone that is not committed yet needs no note: its own transaction makes one, and the look
// for that waits for us.
std::string ChildrenSql(bool all) {
  return fmt::format(
      "INSERT INTO pgduet.orphan_check (relation, key_digest, key, rank, commit_time) SELECT "
      "$1::oid, s.digest, s.key, d.rank, d.commit_time FROM unnest($2::uuid[], $3::text[]) s "
      "(digest, key) {} JOIN LATERAL (SELECT d.rank, d.commit_time FROM pgduet.tombstone d WHERE "
      "d.relation = $1::oid AND d.key_digest IN (s.digest, $4::uuid) ORDER BY d.commit_time DESC, "
      "d.rank DESC LIMIT 1) d ON true",
      all ? "LEFT" : "INNER");
}

// A row whose key was changed keeps its reference, and PostgreSQL did not look at it again.
std::vector<size_t> MovedRows(const TableGroups& table) {
  std::vector<size_t> moved;
  for (size_t index = 0; index < table.groups.size(); ++index) {
    const std::vector<KeyStep>& steps = table.groups[index].steps;
    const bool any = std::any_of(steps.begin(), steps.end(), [](const KeyStep& step) {
      return step.kind == ChangeKind::kInsert && step.old_row_kind != OldRow::kNone;
    });
    if (any) moved.push_back(index);
  }
  return moved;
}

}  // namespace

void KeepRow(const ForeignKeys& keys, const TargetTable& table, std::span<const Value> old_row,
             OldRow kind, GoneParent& parent) {
  if (kind != OldRow::kFull || !keys.Revived(table.oid)) return;
  for (size_t column = 0; column < table.columns.size(); ++column) {
    const Value& value = old_row[table.source_index[column]];
    parent.columns.push_back(table.columns[column].name);
    parent.values.push_back(value.kind == ValueKind::kText ? PgParameter(std::string(value.bytes))
                                                           : PgParameter::Null());
  }
}

absl::Status QueueParentsGone(PgPipeline& pipeline, Oid table,
                              const std::vector<GoneParent>& parents) {
  ArrayLiteral digests, keys, ranks, times;
  for (const GoneParent& one : parents) {
    digests.Add(KeyDigest(one.gone.key_text));
    keys.Add(one.gone.key_text);
    ranks.Add(std::to_string(one.gone.version.rank));
    times.Add(TimestampText(one.gone.version.commit_time));
  }
  PGDUET_RETURN_IF_ERROR(pipeline
                             .Add(kGoneSql, {std::to_string(table), std::move(digests).Finish(),
                                             std::move(keys).Finish(), std::move(ranks).Finish(),
                                             std::move(times).Finish()})
                             .status());
  for (const GoneParent& one : parents) {
    if (one.columns.empty()) continue;
    ArrayLiteral names, values;
    for (size_t place = 0; place < one.columns.size(); ++place) {
      names.Add(one.columns[place]);
      if (one.values[place].c_str() == nullptr) {
        values.AddNull();
      } else {
        values.Add(one.values[place].c_str());
      }
    }
    PGDUET_RETURN_IF_ERROR(
        pipeline
            .Add(kKeepSql,
                 {std::to_string(table), KeyDigest(one.gone.key_text), one.gone.key_text,
                  std::move(names).Finish(), std::move(values).Finish(),
                  TimestampText(one.gone.version.commit_time),
                  std::to_string(one.gone.version.rank)},
                 std::vector<Oid>(7, 25))
            .status());
  }
  return absl::OkStatus();
}

absl::Status OrphanNotes::Note(const Segment& segment, const std::vector<ApplyUnit>& units) {
  if (keys_->empty()) return absl::OkStatus();
  for (const TableGroups& table : segment.tables) {
    if (keys_->IsParent(table.table->oid)) PGDUET_RETURN_IF_ERROR(NoteParents(table, units));
    if (keys_->OfChild(table.table->oid).empty()) continue;
    if (const std::vector<size_t> moved = MovedRows(table); !moved.empty())
      PGDUET_RETURN_IF_ERROR(NoteDecided(table, moved));
    for (const ForeignKey* key : keys_->OfChild(table.table->oid)) {
      if (scope_.registry.size() == 0) continue;  // nothing is deleted
      PGDUET_RETURN_IF_ERROR(QueueChildren(key->parent->oid,
                                           ParentsOf(table, *key, nullptr, Which::kMayBeDeleted),
                                           Which::kMayBeDeleted));
    }
  }
  if (!segment.truncation || !keys_->IsParent(segment.truncation->table->oid))
    return absl::OkStatus();
  const Truncation& truncation = *segment.truncation;
  return QueueParentsGone(scope_.pipeline, truncation.table->oid,
                          {{.gone = TruncateOf(units[truncation.unit], *truncation.table)}});
}

absl::Status OrphanNotes::NoteParents(const TableGroups& table,
                                      const std::vector<ApplyUnit>& units) {
  std::vector<GoneParent> gone;
  for (const KeyGroup& group : table.groups) {
    const KeyStep& last = group.steps.back();
    if (last.kind != ChangeKind::kDelete) continue;
    gone.push_back({.gone = DeleteOf(units[last.unit], *table.table, group)});
    KeepRow(*keys_, *table.table, last.old_row, last.old_row_kind, gone.back());
  }
  if (gone.empty()) return absl::OkStatus();
  return QueueParentsGone(scope_.pipeline, table.table->oid, gone);
}

absl::Status OrphanNotes::NoteDecided(const TableGroups& table, const std::vector<size_t>& groups) {
  for (const ForeignKey* key : keys_->OfChild(table.table->oid)) {
    Texts& texts = decided_[key->parent->oid];
    for (std::string& text : ParentsOf(table, *key, &groups, Which::kAll))
      texts.push_back(std::move(text));
    if (texts.size() < kDecidedMax) continue;
    PGDUET_RETURN_IF_ERROR(Finish());
    PGDUET_RETURN_IF_ERROR(scope_.pipeline.Run().status());
  }
  return absl::OkStatus();
}

absl::Status OrphanNotes::Finish() {
  for (auto& [parent, texts] : std::exchange(decided_, {}))
    PGDUET_RETURN_IF_ERROR(QueueChildren(parent, std::move(texts), Which::kAll));
  return absl::OkStatus();
}

OrphanNotes::Texts OrphanNotes::ParentsOf(const TableGroups& table, const ForeignKey& key,
                                          const std::vector<size_t>* groups, Which which) const {
  std::vector<int> sources;
  for (const std::string& name : key.columns) {
    const auto at = std::find_if(table.table->columns.begin(), table.table->columns.end(),
                                 [&](const TargetColumn& column) { return column.name == name; });
    // A column that the origin lacks is NULL: it refers to nothing.
    if (at == table.table->columns.end()) return {};
    sources.push_back(table.table->source_index[at - table.table->columns.begin()]);
  }
  Texts texts;
  std::vector<Value> values(sources.size());
  const auto look = [&](const KeyGroup& group) {
    if (group.steps.back().kind == ChangeKind::kDelete) return;
    for (size_t part = 0; part < sources.size(); ++part) {
      values[part] = group.FinalValue(sources[part]);
      if (values[part].kind != ValueKind::kText) return;  // NULL, or not changed
    }
    std::string text = KeyText(*key.parent, values);
    if (!texts.empty() && texts.back() == text) return;
    if (which == Which::kAll || scope_.registry.MayHaveTombstone({key.parent->oid, KeyHash(text)}))
      texts.push_back(std::move(text));
  };
  if (groups == nullptr) {
    for (const KeyGroup& group : table.groups) look(group);
  } else {
    for (const size_t group : *groups) look(table.groups[group]);
  }
  return texts;
}

absl::Status OrphanNotes::QueueChildren(Oid parent, Texts texts, Which which) {
  if (texts.empty()) return absl::OkStatus();
  std::sort(texts.begin(), texts.end());
  texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
  ArrayLiteral digests, keys;
  for (const std::string& text : texts) {
    digests.Add(KeyDigest(text));
    keys.Add(text);
  }
  return scope_.pipeline
      .Add(ChildrenSql(which == Which::kAll), {std::to_string(parent), std::move(digests).Finish(),
                                               std::move(keys).Finish(), KeyDigest("")})
      .status();
}

}  // namespace pgduet
