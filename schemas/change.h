// Row changes in flight: relations, values, and a batch of changes with their storage.
//
// A ChangeBatch is what one chunk of a transaction holds. Values are views into storage that the
// batch owns (its arena, or the decoded record that `backing` keeps alive). Move-only; not
// thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_arena.h"

namespace pgduet {

struct Column {
  std::string name;       // UTF-8
  std::string type_name;  // schema-qualified where it is not in pg_catalog
  uint32_t type_oid = 0;  // at the origin; another database may use another one
  int32_t type_modifier = -1;
  bool identity =
      false;  // part of the replica identity as pgoutput flags it (all columns under FULL)
  bool operator==(const Column&) const = default;
};

struct Relation {
  uint32_t oid = 0;  // at the origin; unique within a stream
  std::string schema;
  std::string name;
  char replica_identity = 'd';  // d default, n nothing, f full, i index
  std::vector<Column> columns;
  std::string QualifiedName() const { return schema + "." + name; }
  bool operator==(const Relation&) const = default;
};

enum class ValueKind : uint8_t {
  kNull = 'n',
  kText = 't',
  kBinary = 'b',
  kUnchanged =
      'u',  // a large value that the statement did not touch and that could not be read exactly
};

struct Value {
  ValueKind kind = ValueKind::kNull;
  std::string_view bytes;
  bool operator==(const Value&) const = default;
};

enum class ChangeKind : uint8_t { kInsert = 'I', kUpdate = 'U', kDelete = 'D', kTruncate = 'T' };

// Which columns an old row carries.
enum class OldRow : uint8_t { kNone = 0, kKey = 'K', kFull = 'O' };

struct Change {
  ChangeKind kind = ChangeKind::kInsert;
  OldRow old_row =
      OldRow::kNone;       // kKey: values of non-identity columns are kNull and mean nothing
  uint32_t relation = 0;   // index into ChangeBatch::relations
  uint32_t new_begin = 0;  // into ChangeBatch::values; one value a column, in the relation's order
  uint32_t new_count = 0;  // 0 for delete and truncate
  uint32_t old_begin = 0;
  uint32_t old_count = 0;
};

struct ChangeBatch {
  std::vector<std::shared_ptr<const Relation>> relations;
  std::vector<Change> changes;
  std::vector<Value> values;
  ByteArena arena;
  std::shared_ptr<const void> backing;  // keeps foreign storage of `values` alive; may be empty

  std::span<const Value> NewRow(const Change& change) const {
    return std::span(values).subspan(change.new_begin, change.new_count);
  }
  std::span<const Value> OldRowOf(const Change& change) const {
    return std::span(values).subspan(change.old_begin, change.old_count);
  }
  const Relation& RelationOf(const Change& change) const { return *relations[change.relation]; }
  bool empty() const { return changes.empty(); }
};

}  // namespace pgduet
