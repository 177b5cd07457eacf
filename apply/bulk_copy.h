// COPY for inserted rows: half the server's work of INSERT ... SELECT unnest, because rows go to
// the table many at a time and no index is asked first.
//
// The price: COPY cannot leave out a row whose key is taken; it fails, and the whole apply
// transaction is done again. So it is used where inserts meet nothing, which is nearly always, and
// CopyTrust withdraws it from a table where they did.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/container/flat_hash_map.h>

#include "base/pg_connection.h"
#include "schemas/change.h"

namespace pgduet {

// Which tables may be filled by COPY. After a refusal a table goes without for some transactions,
// for twice as many after the next one; a transaction is wholly with or without, however large. One
// for each origin; it outlives the origin's sessions, because a large transaction is repeated by a
// new session. One thread.
class CopyTrust {
 public:
  static constexpr size_t kRowsMin = 50;  // below, a round trip of its own is dearer

  // At the beginning of each apply transaction.
  void Begin();
  bool Trusts(Oid table, size_t rows) const;
  void Copied(Oid table) { copied_.push_back(table); }
  void Refused(Oid table);
  // The transaction is committed: what was copied to is trusted fully again.
  void Committed();

 private:
  struct Distrust {
    uint32_t refusals = 0;
    uint32_t left = 0;  // transactions to do without
  };
  absl::flat_hash_map<Oid, Distrust> distrusted_;
  std::vector<Oid> copied_;  // by the open transaction
};

// One value in COPY's text format, without the separator after it.
void AppendCopyValue(std::string& text, const Value& value);

}  // namespace pgduet
