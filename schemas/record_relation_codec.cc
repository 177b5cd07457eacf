#include "schemas/record_relation_codec.h"

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "schemas/record_codec.h"
#include "schemas/record_header_codec.h"
#include "schemas/text_check.h"
#include "schemas/wire_fields.h"

namespace pgduet {
namespace {

// Field numbers of record.proto.
constexpr uint32_t kRelationOid = 1;
constexpr uint32_t kRelationSchema = 2;
constexpr uint32_t kRelationName = 3;
constexpr uint32_t kRelationIdentity = 4;
constexpr uint32_t kRelationColumns = 5;
constexpr uint32_t kColumnName = 1;
constexpr uint32_t kColumnTypeName = 2;
constexpr uint32_t kColumnTypeOid = 3;
constexpr uint32_t kColumnTypeModifier = 4;
constexpr uint32_t kColumnIdentity = 5;

// Of this message itself, not of those inside.
bool HasUnknownFields(const google::protobuf::Message& message) {
  return !message.GetReflection()->GetUnknownFields(message).empty();
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= kNameBytesMax && IsValidText(name);
}

absl::Status CheckRelation(const wire::Relation& in) {
  if (HasUnknownFields(in)) return InvalidRecord("relation has an unknown field");
  if (!IsName(in.schema()) || !IsName(in.name())) {
    return InvalidRecord("relation has a name that is empty, too long or not UTF-8");
  }
  const uint32_t identity = in.replica_identity();
  if (identity != 'd' && identity != 'n' && identity != 'f' && identity != 'i') {
    return InvalidRecord("relation has an unknown replica identity");
  }
  if (static_cast<size_t>(in.columns_size()) > kColumnsMax) {
    return InvalidRecord("relation has too many columns");
  }
  for (const wire::Column& column : in.columns()) {
    if (HasUnknownFields(column)) return InvalidRecord("column has an unknown field");
    if (!IsName(column.name())) {
      return InvalidRecord("column has a name that is empty, too long or not UTF-8");
    }
    if (column.type_name().size() > kTypeNameBytesMax || !IsValidText(column.type_name())) {
      return InvalidRecord("column has a type name that is too long or not UTF-8");
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string EncodeRelation(const Relation& relation) {
  std::string message, one;
  FieldWriter writer(message);
  writer.Varint(kRelationOid, relation.oid);
  writer.Bytes(kRelationSchema, relation.schema);
  writer.Bytes(kRelationName, relation.name);
  writer.Varint(kRelationIdentity, static_cast<unsigned char>(relation.replica_identity));
  for (const Column& column : relation.columns) {
    one.clear();
    FieldWriter to(one);
    to.Bytes(kColumnName, column.name);
    to.Bytes(kColumnTypeName, column.type_name);
    to.Varint(kColumnTypeOid, column.type_oid);
    to.Varint(kColumnTypeModifier, ZigZag(column.type_modifier));
    to.Varint(kColumnIdentity, column.identity ? 1 : 0);
    AppendBytesField(kRelationColumns, one, message);
  }
  return message;
}

absl::StatusOr<std::shared_ptr<const Relation>> DecodeRelation(std::string_view bytes) {
  wire::Relation in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidRecord("relation cannot be parsed");
  }
  PGDUET_RETURN_IF_ERROR(CheckRelation(in));
  auto relation = std::make_shared<Relation>();
  relation->oid = in.oid();
  relation->schema = in.schema();
  relation->name = in.name();
  relation->replica_identity = static_cast<char>(in.replica_identity());
  relation->columns.reserve(static_cast<size_t>(in.columns_size()));
  for (const wire::Column& column : in.columns()) {
    relation->columns.push_back({column.name(), column.type_name(), column.type_oid(),
                                 column.type_modifier(), column.identity()});
  }
  return relation;
}

}  // namespace pgduet
