// The record on the topic, decoded: one header and one body. docs/wire_format.md has the bytes.
//
// A transaction is a run of records with one sequence: chunk 0 .. n, the last one flagged. A chunk
// whose bytes exceed the record size is cut into fragments that are joined before decoding.
// Everything here is a value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

constexpr uint32_t kProtocolVersion = 2;  // of a record; packs of them: record_pack.h
constexpr size_t kChunkBytesTarget =
    512 * 1024;                                 // a chunk is closed when its encoding reaches this
constexpr size_t kRecordBytesMax = 900 * 1024;  // below Kafka's default message.max.bytes
constexpr size_t kRowBytesMax =
    128 * 1024 * 1024;  // larger rows stop the stream, by name: row_too_large

enum class RecordKind : uint8_t {
  kTransaction = 1,
  kHeartbeat = 2,
  kAnnouncement = 3,
  kOwnership = 4,
  kNotice = 5
};

struct RecordHeader {
  uint32_t protocol = kProtocolVersion;
  RecordKind kind = RecordKind::kTransaction;
  std::string group;
  std::string origin;  // region name
  std::string set;
  Rank rank = 0;
  uint64_t policy_hash = 0;
  Incarnation incarnation = 0;
  uint64_t writer_epoch =
      0;  // grows with each agent run at the origin; an older writer's records are dropped

  // Transactions: this transaction. Other kinds: the last transaction published before.
  uint64_t sequence = 0;
  uint64_t previous_sequence = 0;
  Lsn commit_lsn;
  CommitTime commit_time = kOldestTime;
  uint32_t xid = 0;  // at the origin, for people

  uint32_t chunk = 0;
  bool last = true;
  uint32_t fragment = 0;
  uint32_t fragments = 1;
  // Everything of the origin's WAL before this LSN is published once this record is. Only where
  // last is true.
  Lsn through_lsn;
  CommitTime sent_at = 0;  // the producing agent's clock
  // No transaction that comes later in this log has a commit time at or below this one
  // (capture/applied_marker.h).
  CommitTime closed_time = kOldestTime;
};

struct Record {
  RecordHeader header;
  // The origin's applied vector at this place in its WAL; its own entry is the transaction itself.
  // In the first and the last chunk, and in heartbeats.
  bool has_vector = false;
  AppliedVector vector;
  ChangeBatch batch;        // kTransaction
  std::string policy_text;  // kAnnouncement: canonical policy, one setting a line
  std::string notice;       // kNotice
};

}  // namespace pgduet
