// Everything that a decoded record says, as names and texts: to compare two records, or a record
// with a document.
#pragma once

#include <map>
#include <string>

#include <fmt/format.h>

#include "schemas/record.h"

namespace pgduet {

using Fields = std::map<std::string, std::string>;

inline void ListHeader(const RecordHeader& header, Fields& fields) {
  fields["protocol"] = std::to_string(header.protocol);
  fields["header.rank"] = std::to_string(header.rank);
  fields["header.kind"] = std::to_string(static_cast<int>(header.kind));
  fields["header.group"] = header.group;
  fields["header.origin"] = header.origin;
  fields["header.set"] = header.set;
  fields["header.policy_hash"] = fmt::format("{:016x}", header.policy_hash);
  fields["header.incarnation"] = IncarnationToString(header.incarnation);
  fields["header.writer_epoch"] = std::to_string(header.writer_epoch);
  fields["header.sequence"] = std::to_string(header.sequence);
  fields["header.previous_sequence"] = std::to_string(header.previous_sequence);
  fields["header.commit_lsn"] = header.commit_lsn.ToString();
  fields["header.commit_time"] = std::to_string(header.commit_time);
  fields["header.xid"] = std::to_string(header.xid);
  fields["header.chunk"] = std::to_string(header.chunk);
  fields["header.last"] = header.last ? "true" : "false";
  fields["header.fragment"] = std::to_string(header.fragment);
  fields["header.fragments"] = std::to_string(header.fragments);
  fields["header.through_lsn"] = header.through_lsn.ToString();
  fields["header.sent_at"] = std::to_string(header.sent_at);
  fields["header.closed_time"] = std::to_string(header.closed_time);
}

inline void ListVector(const AppliedVector& vector, Fields& fields) {
  for (size_t rank = 0; rank < vector.size(); ++rank) {
    const Position& entry = vector.At(static_cast<Rank>(rank));
    const std::string name = fmt::format("vector[{}].", rank);
    fields[name + "rank"] = std::to_string(rank);
    fields[name + "incarnation"] = IncarnationToString(entry.incarnation);
    fields[name + "sequence"] = std::to_string(entry.sequence);
    fields[name + "commit_lsn"] = entry.commit_lsn.ToString();
    fields[name + "commit_time"] = std::to_string(entry.commit_time);
  }
}

inline void ListRelation(const Relation& relation, const std::string& name, Fields& fields) {
  fields[name + "oid"] = std::to_string(relation.oid);
  fields[name + "schema"] = relation.schema;
  fields[name + "name"] = relation.name;
  fields[name + "replica_identity"] = relation.replica_identity;
  for (size_t i = 0; i < relation.columns.size(); ++i) {
    const Column& column = relation.columns[i];
    const std::string prefix = fmt::format("{}column[{}].", name, i);
    fields[prefix + "name"] = column.name;
    fields[prefix + "type_name"] = column.type_name;
    fields[prefix + "type_oid"] = std::to_string(column.type_oid);
    fields[prefix + "type_modifier"] = std::to_string(column.type_modifier);
    fields[prefix + "identity"] = column.identity ? "true" : "false";
  }
}

inline void ListChange(const ChangeBatch& batch, const Change& change, const std::string& name,
                       Fields& fields) {
  fields[name + "kind"] = static_cast<char>(change.kind);
  if (change.old_row != OldRow::kNone) fields[name + "old_row"] = static_cast<char>(change.old_row);
  fields[name + "relation"] = std::to_string(change.relation);
  std::string kinds;
  int values = 0;
  for (const auto row : {batch.NewRow(change), batch.OldRowOf(change)}) {
    for (const Value& value : row) {
      kinds.push_back(static_cast<char>(value.kind));
      if (value.kind != ValueKind::kText && value.kind != ValueKind::kBinary) continue;
      fields[fmt::format("{}value[{}]", name, values++)] = value.bytes;
    }
  }
  fields[name + "kinds"] = kinds;
}

inline Fields FieldsOf(const Record& record) {
  Fields fields;
  ListHeader(record.header, fields);
  if (record.has_vector) fields["vector"] = "given";
  ListVector(record.vector, fields);
  if (!record.policy_text.empty()) fields["policy_text"] = record.policy_text;
  if (!record.notice.empty()) fields["notice"] = record.notice;
  for (size_t i = 0; i < record.batch.relations.size(); ++i) {
    ListRelation(*record.batch.relations[i], fmt::format("relation[{}].", i), fields);
  }
  for (size_t i = 0; i < record.batch.changes.size(); ++i) {
    ListChange(record.batch, record.batch.changes[i], fmt::format("change[{}].", i), fields);
  }
  return fields;
}

}  // namespace pgduet
