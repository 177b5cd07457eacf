#include "schemas/record_body_codec.h"

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record_header_codec.h"
#include "schemas/record_relation_codec.h"
#include "schemas/text_check.h"
#include "schemas/wire_fields.h"

namespace pgduet {
namespace {

// Field numbers of record.proto.
constexpr uint32_t kBodyRelations = 1;
constexpr uint32_t kBodyChanges = 2;
constexpr uint32_t kBodyPolicyText = 3;
constexpr uint32_t kBodyNotice = 4;
constexpr uint32_t kChangeKind = 1;
constexpr uint32_t kChangeRelation = 2;
constexpr uint32_t kChangeOldRow = 3;
constexpr uint32_t kChangeKinds = 4;
constexpr uint32_t kChangeValues = 5;

bool CarriesBytes(ValueKind kind) { return kind == ValueKind::kText || kind == ValueKind::kBinary; }

// ---- Encoding

size_t ValuesSize(std::span<const Value> values) {
  size_t size = 0;
  for (const Value& value : values) {
    if (CarriesBytes(value.kind)) size += 1 + VarintSize(value.bytes.size()) + value.bytes.size();
  }
  return size;
}

void AppendKinds(std::span<const Value> values, std::string& out) {
  for (const Value& value : values) out.push_back(static_cast<char>(value.kind));
}

void AppendValues(std::span<const Value> values, std::string& out) {
  for (const Value& value : values) {
    if (CarriesBytes(value.kind)) AppendBytesField(kChangeValues, value.bytes, out);
  }
}

void EncodeChange(const ChangeBatch& batch, const Change& change, std::string& out) {
  const auto new_row = batch.NewRow(change);
  const auto old_row = batch.OldRowOf(change);
  const size_t kinds = new_row.size() + old_row.size();
  size_t size = 2 + ValuesSize(new_row) + ValuesSize(old_row);
  if (change.relation != 0) size += 1 + VarintSize(change.relation);
  if (change.old_row != OldRow::kNone) size += 2;
  if (kinds != 0) size += 1 + VarintSize(kinds) + kinds;

  AppendVarint(WireTag(kBodyChanges, WireType::kBytes), out);
  AppendVarint(size, out);
  AppendVarintField(kChangeKind, static_cast<uint64_t>(change.kind), out);
  if (change.relation != 0) AppendVarintField(kChangeRelation, change.relation, out);
  if (change.old_row != OldRow::kNone) {
    AppendVarintField(kChangeOldRow, static_cast<uint64_t>(change.old_row), out);
  }
  if (kinds != 0) {
    AppendVarint(WireTag(kChangeKinds, WireType::kBytes), out);
    AppendVarint(kinds, out);
    AppendKinds(new_row, out);
    AppendKinds(old_row, out);
  }
  AppendValues(new_row, out);
  AppendValues(old_row, out);
}

// ---- Decoding

class BodyDecoder {
 public:
  BodyDecoder(RelationCache* cache, ChangeBatch& batch) : cache_(cache), batch_(batch) {}

  absl::Status ReadRelation(std::string_view bytes) {
    if (batch_.relations.size() == kRelationsMax)
      return InvalidRecord("chunk has too many relations");
    std::shared_ptr<const Relation> relation = cache_ == nullptr ? nullptr : cache_->Find(bytes);
    if (relation == nullptr) {
      PGDUET_ASSIGN_OR_RETURN(relation, DecodeRelation(bytes));
      if (cache_ != nullptr) cache_->Add(bytes, relation);
    }
    batch_.relations.push_back(std::move(relation));
    return absl::OkStatus();
  }

  absl::Status ReadChange(std::string_view bytes) {
    if (batch_.changes.size() == kChangesMax) return InvalidRecord("chunk has too many changes");
    WireReader reader(bytes);
    Change change;
    PGDUET_RETURN_IF_ERROR(ReadChangeHead(reader, change));
    std::string_view kinds;
    if (reader.NextIs(kChangeKinds, WireType::kBytes)) kinds = reader.ReadBytes();
    if (kinds.size() != size_t{change.new_count} + change.old_count) {
      return InvalidRecord("change has not one value for each column");
    }
    if (batch_.values.size() + kinds.size() > kValuesMax) {
      return InvalidRecord("chunk has too many values");
    }
    change.new_begin = static_cast<uint32_t>(batch_.values.size());
    change.old_begin = change.new_begin + change.new_count;
    PGDUET_RETURN_IF_ERROR(ReadRow(reader, kinds.substr(0, change.new_count)));
    PGDUET_RETURN_IF_ERROR(ReadRow(reader, kinds.substr(change.new_count)));
    if (reader.failed() || !reader.AtEnd()) return InvalidRecord("change cannot be parsed");
    batch_.changes.push_back(change);
    return absl::OkStatus();
  }

 private:
  // Kind, relation and which rows there are; sets the rows' column counts.
  absl::Status ReadChangeHead(WireReader& reader, Change& change) {
    uint64_t kind = 0, relation = 0, old_row = 0;
    if (reader.NextIs(kChangeKind, WireType::kVarint)) kind = reader.ReadVarint();
    if (reader.NextIs(kChangeRelation, WireType::kVarint)) relation = reader.ReadVarint();
    if (reader.NextIs(kChangeOldRow, WireType::kVarint)) old_row = reader.ReadVarint();
    if (relation >= batch_.relations.size()) return InvalidRecord("change has an unknown relation");
    if (old_row != 0 && old_row != 'K' && old_row != 'O') {
      return InvalidRecord("change has an unknown kind of old row");
    }
    const bool has_new = kind == 'I' || kind == 'U';
    if (!has_new && kind != 'D' && kind != 'T') return InvalidRecord("change has an unknown kind");
    if ((kind == 'I' || kind == 'T') ? old_row != 0 : kind == 'D' && old_row == 0) {
      return InvalidRecord("change has an old row that its kind excludes, or lacks one");
    }
    change.kind = static_cast<ChangeKind>(kind);
    change.old_row = static_cast<OldRow>(old_row);
    change.relation = static_cast<uint32_t>(relation);
    const auto columns = static_cast<uint32_t>(batch_.relations[relation]->columns.size());
    change.new_count = has_new ? columns : 0;
    change.old_count = old_row != 0 ? columns : 0;
    return absl::OkStatus();
  }

  absl::Status ReadRow(WireReader& reader, std::string_view kinds) {
    size_t row_bytes = 0;
    for (const char letter : kinds) {
      const auto kind = static_cast<ValueKind>(letter);
      std::string_view bytes;
      if (CarriesBytes(kind)) {
        if (!reader.NextIs(kChangeValues, WireType::kBytes)) {
          return InvalidRecord("change has fewer values than it says");
        }
        bytes = reader.ReadBytes();
        row_bytes += bytes.size();
        if (kind == ValueKind::kText && !IsValidText(bytes)) {
          return InvalidRecord("change has a text value that is not UTF-8 or contains NUL");
        }
      } else if (kind != ValueKind::kNull && kind != ValueKind::kUnchanged) {
        return InvalidRecord("change has an unknown kind of value");
      }
      batch_.values.push_back({kind, bytes});
    }
    if (row_bytes <= kRowBytesMax) return absl::OkStatus();
    return NamedError(absl::StatusCode::kDataLoss, "oversized_record",
                      fmt::format("record holds a row that is too large: bytes={} max={}",
                                  row_bytes, kRowBytesMax),
                      "Find out which program wrote this record.");
  }

  RelationCache* cache_;
  ChangeBatch& batch_;
};

}  // namespace

std::string EncodeBody(const Record& record) {
  std::string out;
  size_t size = record.policy_text.size() + record.notice.size() + 64;
  for (const Change& change : record.batch.changes)
    size += EncodedSizeEstimate(record.batch, change);
  out.reserve(size + record.batch.relations.size() * 512);
  for (const auto& relation : record.batch.relations)
    AppendBytesField(kBodyRelations, EncodeRelation(*relation), out);
  for (const Change& change : record.batch.changes) EncodeChange(record.batch, change, out);
  if (!record.policy_text.empty()) AppendBytesField(kBodyPolicyText, record.policy_text, out);
  if (!record.notice.empty()) AppendBytesField(kBodyNotice, record.notice, out);
  return out;
}

size_t EncodedSizeEstimate(const ChangeBatch& batch, const Change& change) {
  const auto new_row = batch.NewRow(change);
  const auto old_row = batch.OldRowOf(change);
  constexpr size_t kFixedBytes = 20;  // tags, lengths, kind, relation
  return kFixedBytes + new_row.size() + ValuesSize(new_row) + old_row.size() + ValuesSize(old_row);
}

absl::Status CheckRowSizes(const ChangeBatch& batch) {
  for (const Change& change : batch.changes) {
    for (const auto row : {batch.NewRow(change), batch.OldRowOf(change)}) {
      size_t bytes = 0;
      for (const Value& value : row) bytes += value.bytes.size();
      if (bytes <= kRowBytesMax) continue;
      return NamedError(
          absl::StatusCode::kFailedPrecondition, "row_too_large",
          fmt::format("row is too large to be published: table={} bytes={} max={}",
                      batch.RelationOf(change).QualifiedName(), bytes, kRowBytesMax),
          "Nothing after this transaction can be published; see docs/operations/errors.md.");
    }
  }
  return absl::OkStatus();
}

absl::Status DecodeBodyInto(std::string_view body, RelationCache* cache, Record& record) {
  WireReader reader(body);
  BodyDecoder decoder(cache, record.batch);
  while (reader.NextIs(kBodyRelations, WireType::kBytes)) {
    PGDUET_RETURN_IF_ERROR(decoder.ReadRelation(reader.ReadBytes()));
  }
  while (reader.NextIs(kBodyChanges, WireType::kBytes)) {
    PGDUET_RETURN_IF_ERROR(decoder.ReadChange(reader.ReadBytes()));
  }
  if (reader.NextIs(kBodyPolicyText, WireType::kBytes)) record.policy_text = reader.ReadBytes();
  if (reader.NextIs(kBodyNotice, WireType::kBytes)) record.notice = reader.ReadBytes();
  if (reader.failed() || !reader.AtEnd()) return InvalidRecord("body cannot be parsed");
  if (record.policy_text.size() > kPolicyTextBytesMax || !IsValidText(record.policy_text) ||
      record.notice.size() > kNoticeBytesMax || !IsValidText(record.notice)) {
    return InvalidRecord("announcement is too long or not UTF-8");
  }
  return absl::OkStatus();
}

}  // namespace pgduet
