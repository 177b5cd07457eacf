// Records for tests: small, valid, with every field set to something that can be told from the
// others.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "schemas/record.h"

namespace pgduet {

inline constexpr Incarnation kSampleIncarnation = 0xABCDEF0123456789;
inline constexpr CommitTime kSampleTime = 1'700'000'000'000'000;

inline Lsn SampleLsn(uint64_t sequence) { return Lsn(0x1000000 + sequence * 0x100); }

inline RecordHeader SampleHeader(RecordKind kind, uint64_t sequence, uint64_t writer_epoch = 1) {
  RecordHeader header;
  header.kind = kind;
  header.group = "shop";
  header.origin = "us-east";
  header.set = "main";
  header.rank = 1;
  header.policy_hash = 0x1122334455667788;
  header.incarnation = kSampleIncarnation;
  header.writer_epoch = writer_epoch;
  header.sequence = sequence;
  header.previous_sequence = sequence == 0 ? 0 : sequence - 1;
  if (sequence != 0) {
    header.commit_lsn = SampleLsn(sequence);
    header.commit_time = kSampleTime + static_cast<CommitTime>(sequence);
  }
  header.xid = static_cast<uint32_t>(700 + sequence);
  header.through_lsn = Lsn(SampleLsn(sequence).value() + 0x30);
  header.sent_at = kSampleTime + 1000;
  header.closed_time = kSampleTime - 7;
  return header;
}

inline AppliedVector SampleVector(const RecordHeader& header) {
  AppliedVector vector;
  vector.Set(
      0,
      {.incarnation = 42, .sequence = 5, .commit_lsn = Lsn(0x500), .commit_time = kSampleTime - 1});
  vector.Set(header.rank, {.incarnation = header.incarnation,
                           .sequence = header.sequence,
                           .commit_lsn = header.commit_lsn,
                           .commit_time = header.commit_time});
  return vector;
}

inline std::shared_ptr<const Relation> SampleRelation() {
  return std::make_shared<const Relation>(Relation{
      .oid = 16384,
      .schema = "public",
      .name = "grüße",
      .replica_identity = 'f',
      .columns = {
          {.name = "id",
           .type_name = "int8",
           .type_oid = 20,
           .type_modifier = -1,
           .identity = true},
          {.name = "Note", .type_name = "app.mood", .type_oid = 16400, .type_modifier = 14}}});
}

// Adds a change whose values are copied into the batch's arena.
inline void AddChange(ChangeBatch& batch, ChangeKind kind, OldRow old_row,
                      const std::vector<Value>& new_row, const std::vector<Value>& old_values,
                      uint32_t relation = 0) {
  Change change{.kind = kind, .old_row = old_row, .relation = relation};
  const auto add = [&](const std::vector<Value>& row, uint32_t& begin, uint32_t& count) {
    begin = static_cast<uint32_t>(batch.values.size());
    count = static_cast<uint32_t>(row.size());
    for (const Value& value : row)
      batch.values.push_back({value.kind, batch.arena.Append(value.bytes)});
  };
  add(new_row, change.new_begin, change.new_count);
  add(old_values, change.old_begin, change.old_count);
  batch.changes.push_back(change);
}

inline Value Text(std::string_view text) { return {ValueKind::kText, text}; }

// One transaction in one chunk (or chunk `chunk` of several): insert, update, delete, truncate.
inline Record SampleTransaction(uint64_t sequence, uint64_t writer_epoch = 1, uint32_t chunk = 0,
                                bool last = true) {
  Record record;
  record.header = SampleHeader(RecordKind::kTransaction, sequence, writer_epoch);
  record.header.chunk = chunk;
  record.header.last = last;
  record.has_vector = chunk == 0 || last;
  if (record.has_vector) record.vector = SampleVector(record.header);
  ChangeBatch& batch = record.batch;
  batch.relations.push_back(SampleRelation());
  const std::string id = std::to_string(sequence) + "." + std::to_string(chunk);
  const Value null;
  const Value unchanged{ValueKind::kUnchanged, {}};
  AddChange(batch, ChangeKind::kInsert, OldRow::kNone,
            {Text(id), {ValueKind::kBinary, {"\0\xFF", 2}}}, {});
  AddChange(batch, ChangeKind::kUpdate, OldRow::kFull, {Text(id), unchanged}, {Text(id), Text("")});
  AddChange(batch, ChangeKind::kDelete, OldRow::kKey, {}, {Text(id), null});
  AddChange(batch, ChangeKind::kTruncate, OldRow::kNone, {}, {});
  return record;
}

inline Record SampleHeartbeat(uint64_t sequence, uint64_t writer_epoch = 1) {
  Record record;
  record.header = SampleHeader(RecordKind::kHeartbeat, sequence, writer_epoch);
  record.has_vector = true;
  record.vector = SampleVector(record.header);
  return record;
}

inline Record SampleAnnouncement(std::string policy_text, uint64_t policy_hash,
                                 uint64_t writer_epoch = 1) {
  Record record;
  record.header = SampleHeader(RecordKind::kAnnouncement, 0, writer_epoch);
  record.header.policy_hash = policy_hash;
  record.policy_text = std::move(policy_text);
  return record;
}

// A chunk with one row of this size: fragments when it is larger than a record.
inline Record LargeTransaction(uint64_t sequence, size_t bytes, uint64_t writer_epoch = 1) {
  Record record = SampleTransaction(sequence, writer_epoch);
  const std::string large(bytes, 'x');
  AddChange(record.batch, ChangeKind::kInsert, OldRow::kNone, {Text("1"), Text(large)}, {});
  return record;
}

}  // namespace pgduet
