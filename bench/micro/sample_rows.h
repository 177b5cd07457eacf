// Rows for the micro-benchmarks: a transaction of a thousand inserted rows of four columns, like
// those of a TPC-B account.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "apply/target_table.h"
#include "schemas/record.h"
#include "tests/capture/pgoutput_bytes.h"
#include "tests/schemas/record_samples.h"

namespace pgduet::micro {

inline constexpr int kRows = 1000;

inline std::vector<std::optional<std::string>> RowTexts(int number) {
  return {std::to_string(1'000'000 + number), std::to_string(number % 100), "0",
          std::string(40, static_cast<char>('a' + number % 26))};
}

// One pgoutput message for each row.
inline std::vector<std::string> InsertMessages() {
  std::vector<std::string> messages;
  for (int row = 0; row < kRows; ++row)
    messages.push_back(testing_bytes::Insert(16384, RowTexts(row)));
  return messages;
}

inline std::shared_ptr<const Relation> AccountRelation() {
  return std::make_shared<const Relation>(
      Relation{.oid = 16384,
               .schema = "public",
               .name = "account",
               .columns = {{.name = "id", .type_name = "int8", .type_oid = 20, .identity = true},
                           {.name = "branch", .type_name = "int4", .type_oid = 23},
                           {.name = "balance", .type_name = "int4", .type_oid = 23},
                           {.name = "filler", .type_name = "text", .type_oid = 25}}});
}

// Header, vector and a thousand inserted rows.
inline Record BulkRecord() {
  Record record;
  record.header = SampleHeader(RecordKind::kTransaction, 7);
  record.has_vector = true;
  record.vector = SampleVector(record.header);
  record.batch.relations.push_back(AccountRelation());
  for (int row = 0; row < kRows; ++row) {
    const auto texts = RowTexts(row);
    std::vector<Value> values;
    for (const auto& text : texts) values.push_back(Text(*text));
    AddChange(record.batch, ChangeKind::kInsert, OldRow::kNone, values, {});
  }
  return record;
}

// The same table at the target.
class AccountTable : public TableLookup {
 public:
  AccountTable() {
    auto table = std::make_shared<TargetTable>();
    table->oid = 16384;
    table->schema = "public";
    table->name = "account";
    table->quoted = "\"public\".\"account\"";
    const std::shared_ptr<const Relation> relation = AccountRelation();
    for (const Column& column : relation->columns) {
      table->source_index.push_back(static_cast<int>(table->columns.size()));
      table->columns.push_back({.name = column.name,
                                .quoted = '"' + column.name + '"',
                                .type = column.type_name,
                                .type_oid = column.type_oid});
    }
    table->columns[0].key_index = 0;
    table->keys = {0};
    table_ = std::move(table);
  }
  absl::StatusOr<std::shared_ptr<const TargetTable>> Find(
      const std::shared_ptr<const Relation>&) override {
    return table_;
  }

 private:
  std::shared_ptr<const TargetTable> table_;
};

inline size_t BytesOf(const std::vector<std::string>& texts) {
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  return bytes;
}

}  // namespace pgduet::micro
