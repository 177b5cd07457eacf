// Turns one pgoutput message (protocol 1) into one PgoutputMessage.
//
// In:  the payload of a single WAL data frame, without the frame header.
// Out: a message that borrows from the payload; copy what must outlive it.
// Every read is bounds-checked: whatever bytes come, the result is a message or malformed_pgoutput,
// never a crash. Threads: none of its own. Transactions are built in transaction_assembler.h.
// Source: PostgreSQL's documentation, "Logical Replication Message Formats".
#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "schemas/change.h"
#include "schemas/version.h"

namespace pgduet {

struct PgoutputBegin {
  Lsn final_lsn;  // of the commit record
  CommitTime commit_time = 0;
  uint32_t xid = 0;
};
struct PgoutputCommit {
  Lsn commit_lsn;
  Lsn end_lsn;
  CommitTime commit_time = 0;
};
struct PgoutputOrigin {
  Lsn commit_lsn;  // at the origin
  std::string_view name;
};
struct PgoutputColumn {
  bool identity = false;
  std::string_view name;
  uint32_t type_oid = 0;
  int32_t type_modifier = -1;
};
struct PgoutputRelation {
  uint32_t oid = 0;
  std::string_view schema;  // empty: pg_catalog
  std::string_view name;
  char replica_identity = 'd';
  std::vector<PgoutputColumn> columns;
};
struct PgoutputType {
  uint32_t oid = 0;
  std::string_view schema;
  std::string_view name;
};
struct PgoutputInsert {
  uint32_t relation = 0;
  std::vector<Value> new_row;
};
struct PgoutputUpdate {
  uint32_t relation = 0;
  OldRow old_kind = OldRow::kNone;
  std::vector<Value> old_row;
  std::vector<Value> new_row;
};
struct PgoutputDelete {
  uint32_t relation = 0;
  OldRow old_kind = OldRow::kNone;
  std::vector<Value> old_row;
};
struct PgoutputTruncate {
  bool cascade = false;
  bool restart_identity = false;
  std::vector<uint32_t> relations;
};
struct PgoutputMessageText {
  bool transactional = false;
  Lsn lsn;
  std::string_view prefix;
  std::string_view content;
};

using PgoutputMessage = std::variant<PgoutputBegin, PgoutputCommit, PgoutputOrigin,
                                     PgoutputRelation, PgoutputType, PgoutputInsert, PgoutputUpdate,
                                     PgoutputDelete, PgoutputTruncate, PgoutputMessageText>;

absl::StatusOr<PgoutputMessage> DecodePgoutput(std::string_view payload);

// PostgreSQL counts microseconds from 2000-01-01.
inline constexpr int64_t kPostgresEpochMicros = 946'684'800'000'000;

}  // namespace pgduet
