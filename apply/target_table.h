// One table of the target as a relation of an origin maps onto it: keys, columns, and what the
// database needs to know to take text values. Built from the target's catalog; the names on the
// wire are looked up there once and never become SQL themselves.
//
// Lives for one session (a changed table needs a fresh one). One thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "base/pg_connection.h"
#include "schemas/change.h"

namespace pgduet {

struct TargetColumn {
  std::string name;
  std::string quoted;
  std::string
      type;  // as format_type prints it without modifier: an explicit cast that truncates nothing
  Oid type_oid = 0;
  Oid array_oid = 0;      // of the type's array type; 0: none
  char delimiter = ',';   // between elements of that array type
  bool is_array = false;  // an array, a row (unnest would take it apart), or without array type:
                          // travels as text and is cast
  bool json = false;  // has json in it, which can hold what jsonb cannot: the log shows it as text
  bool numeric = false;  // canonical key text drops trailing zeros
  bool floating = false;
  bool padded = false;  // character(n): trailing blanks mean nothing
  bool identity_always = false;
  int key_index = -1;  // position among the key columns, or -1
};

struct TargetTable {
  Oid oid = 0;
  std::string schema;
  std::string name;
  std::string quoted;  // "schema"."name"
  std::vector<TargetColumn>
      columns;                    // in the order of the origin's relation, those that exist here
  std::vector<int> source_index;  // columns[i] is the relation's column source_index[i]
  std::vector<int> missing;       // relation columns that do not exist here: only NULLs may come
  std::vector<int> keys;          // indexes into columns, in key order
  std::vector<std::string>
      elsewhere;  // quoted names of columns here that the relation lacks (generated ones left out)
  std::string row_json;  // SQL: the row of alias t as jsonb
  bool nothing_to_set =
      false;  // no column can be set by UPDATE: the only one is GENERATED ALWAYS AS IDENTITY
  bool replaces_rows = false;  // nothing_to_set, or such a column outside the key

  // The key columns' values of a row of the relation.
  std::vector<Value> KeyOf(std::span<const Value> row) const;
};

// Finds the table of a relation. One thread.
class TableLookup {
 public:
  virtual ~TableLookup() = default;
  // Errors: table_missing, key_missing, key_differs, column_missing (FailedPrecondition).
  virtual absl::StatusOr<std::shared_ptr<const TargetTable>> Find(
      const std::shared_ptr<const Relation>& relation) = 0;
};

// In the target's catalog; what was found is kept.
class TargetCatalog : public TableLookup {
 public:
  explicit TargetCatalog(PgConnection& connection) : connection_(connection) {}
  absl::StatusOr<std::shared_ptr<const TargetTable>> Find(
      const std::shared_ptr<const Relation>& relation) override;
  // The table as it is here, all its columns. NotFound when there is none.
  absl::StatusOr<std::shared_ptr<const TargetTable>> FindByOid(Oid table);

 private:
  absl::StatusOr<std::shared_ptr<const TargetTable>> Load(const Relation& relation);
  absl::Status LoadColumns(const Relation& relation, TargetTable& table);
  absl::Status LoadKey(const Relation& relation, TargetTable& table);
  PgConnection& connection_;
  absl::flat_hash_map<std::string, std::pair<Relation, std::shared_ptr<const TargetTable>>> tables_;
};

// Canonical text of a key: equal exactly when the database holds the keys equal (for the key types
// that `check` admits).
std::string KeyText(const TargetTable& table, std::span<const Value> key_values);
// 64-bit hash, never 0, and 128-bit digest as a uuid's text.
uint64_t KeyHash(std::string_view key_text);
std::string KeyDigest(std::string_view key_text);
// The key's values again.
std::vector<std::string> KeyValues(std::string_view key_text);

// A PostgreSQL array literal of these elements.
class ArrayLiteral {
 public:
  explicit ArrayLiteral(char delimiter = ',') : delimiter_(delimiter) { text_.push_back('{'); }
  void Add(std::string_view element);
  void AddNull();
  std::string Finish() && {
    text_.push_back('}');
    return std::move(text_);
  }

 private:
  void Separate() {
    if (text_.size() > 1) text_.push_back(delimiter_);
  }
  char delimiter_;
  std::string text_;
};

}  // namespace pgduet
