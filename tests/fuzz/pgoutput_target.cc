// pgoutput: one message, and a stream of them through the assembler.
#include <algorithm>
#include <optional>

#include "base/named_error.h"
#include "capture/pgoutput_decoder.h"
#include "capture/transaction_assembler.h"
#include "schemas/record_codec.h"
#include "schemas/text_check.h"
#include "tests/capture/pgoutput_bytes.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

using testing_bytes::Bytes;

uint64_t Raw(CommitTime time) {
  return static_cast<uint64_t>(time) - static_cast<uint64_t>(kPostgresEpochMicros);
}

void AddTuple(const std::vector<Value>& row, Bytes& out) {
  out.Number<uint16_t>(static_cast<uint16_t>(row.size()));
  for (const Value& value : row) {
    out.Letter(static_cast<char>(value.kind));
    if (value.kind == ValueKind::kText || value.kind == ValueKind::kBinary) {
      out.Number<uint32_t>(static_cast<uint32_t>(value.bytes.size())).Raw(value.bytes);
    }
  }
}

// The message as PostgreSQL's documentation writes it: a message has one encoding only.
struct Encoder {
  std::string operator()(const PgoutputBegin& m) const {
    return Bytes('B').Number(m.final_lsn.value()).Number(Raw(m.commit_time)).Number(m.xid).str();
  }
  std::string operator()(const PgoutputCommit& m) const {
    return Bytes('C')
        .Number<uint8_t>(0)
        .Number(m.commit_lsn.value())
        .Number(m.end_lsn.value())
        .Number(Raw(m.commit_time))
        .str();
  }
  std::string operator()(const PgoutputOrigin& m) const {
    return Bytes('O').Number(m.commit_lsn.value()).Text(m.name).str();
  }
  std::string operator()(const PgoutputRelation& m) const {
    Bytes out('R');
    out.Number(m.oid).Text(m.schema).Text(m.name).Letter(m.replica_identity);
    out.Number<uint16_t>(static_cast<uint16_t>(m.columns.size()));
    for (const PgoutputColumn& column : m.columns) {
      out.Number<uint8_t>(column.identity ? 1 : 0)
          .Text(column.name)
          .Number(column.type_oid)
          .Number(column.type_modifier);
    }
    return out.str();
  }
  std::string operator()(const PgoutputType& m) const {
    return Bytes('Y').Number(m.oid).Text(m.schema).Text(m.name).str();
  }
  std::string operator()(const PgoutputInsert& m) const {
    Bytes out('I');
    AddTuple(m.new_row, out.Number(m.relation).Letter('N'));
    return out.str();
  }
  std::string operator()(const PgoutputUpdate& m) const {
    Bytes out('U');
    out.Number(m.relation);
    if (m.old_kind != OldRow::kNone) AddTuple(m.old_row, out.Letter(static_cast<char>(m.old_kind)));
    AddTuple(m.new_row, out.Letter('N'));
    return out.str();
  }
  std::string operator()(const PgoutputDelete& m) const {
    Bytes out('D');
    AddTuple(m.old_row, out.Number(m.relation).Letter(static_cast<char>(m.old_kind)));
    return out.str();
  }
  std::string operator()(const PgoutputTruncate& m) const {
    Bytes out('T');
    out.Number<uint32_t>(static_cast<uint32_t>(m.relations.size()));
    out.Number<uint8_t>(static_cast<uint8_t>((m.cascade ? 1 : 0) | (m.restart_identity ? 2 : 0)));
    for (const uint32_t relation : m.relations) out.Number(relation);
    return out.str();
  }
  std::string operator()(const PgoutputMessageText& m) const {
    return Bytes('M')
        .Number<uint8_t>(m.transactional ? 1 : 0)
        .Number(m.lsn.value())
        .Text(m.prefix)
        .Number<uint32_t>(static_cast<uint32_t>(m.content.size()))
        .Raw(m.content)
        .str();
  }
};

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= kNameBytesMax && IsValidText(name);
}

// A server with a valid encoding sends nothing else; what it would not send, readers may refuse.
bool IsPublishable(const ChangeBatch& batch) {
  const bool relations =
      std::all_of(batch.relations.begin(), batch.relations.end(), [](const auto& relation) {
        return IsName(relation->schema) && IsName(relation->name) &&
               relation->columns.size() <= kColumnsMax &&
               std::all_of(
                   relation->columns.begin(), relation->columns.end(), [](const Column& column) {
                     return IsName(column.name) && column.type_name.size() <= kTypeNameBytesMax &&
                            IsValidText(column.type_name);
                   });
      });
  return relations && std::all_of(batch.values.begin(), batch.values.end(), [](const Value& value) {
           return value.kind != ValueKind::kText || IsValidText(value.bytes);
         });
}

// Publishes as a capture would, reads as a peer would, and watches the order of calls.
class CheckingSink : public AssemblerSink {
 public:
  absl::Status TransactionBegins(const LocalTransaction&) override {
    if (open_) complaint = "a transaction begins inside another";
    open_ = true;
    chunk_ = 0;
    return absl::OkStatus();
  }
  absl::Status Chunk(const LocalTransaction&, ChangeBatch batch, bool last, Lsn) override {
    if (!open_) complaint = "a chunk outside a transaction";
    if (batch.empty()) complaint = "an empty chunk";
    if (last) open_ = false;
    ++chunks;
    Record record = SampleTransaction(1, 1, chunk_++, last);
    const bool publishable = IsPublishable(batch);
    record.batch = std::move(batch);
    auto raw = DecodeEnvelope(EncodeRecord(record).at(0));
    if (!raw.ok() || (publishable && !DecodeBody(*std::move(raw)).ok()))
      complaint = "peers would refuse this chunk";
    return absl::OkStatus();
  }
  void Applied(const AppliedMarker& marker) override {
    if (open_) complaint = "our own transaction was published";
    if (marker.rank != kInternalRank && marker.rank >= kRegionsMax)
      complaint = "a rank out of range";
  }
  void Barrier(std::string_view) override {}
  void TimeClosed(CommitTime) override {}
  absl::Status PolicyNoticed(std::string_view) override { return absl::OkStatus(); }
  void TransactionEnds(Lsn) override {
    if (open_) complaint = "a transaction ends without its last chunk";
  }
  std::string complaint;
  int chunks = 0;

 private:
  bool open_ = false;
  uint32_t chunk_ = 0;
};

// A script of messages: two bytes of length, then the message.
std::string Framed(const std::vector<std::string>& messages) {
  std::string script;
  for (const std::string& message : messages) {
    script.push_back(static_cast<char>(message.size()));
    script.push_back(static_cast<char>(message.size() >> 8));
    script += message;
  }
  return script;
}

std::string Update(uint32_t relation) {
  return Bytes('U')
      .Number(relation)
      .Letter('O')
      .Tuple({"1", "w"})
      .Letter('N')
      .Tuple({"1", "\x01"})
      .str();
}
std::string Delete(uint32_t relation) {
  return Bytes('D').Number(relation).Letter('K').Tuple({"1", std::nullopt}).str();
}
std::string Truncate(uint32_t relation) {
  return Bytes('T').Number<uint32_t>(1).Number<uint8_t>(1).Number(relation).str();
}

}  // namespace

FuzzOutcome FuzzPgoutput(std::string_view bytes) {
  const auto message = DecodePgoutput(bytes);
  if (!message.ok()) {
    return {.complaint = ErrorName(message.status()) == "malformed_pgoutput"
                             ? ""
                             : "an error without its name"};
  }
  if (std::visit(Encoder{}, *message) != bytes)
    return {.complaint = "the message is not what its bytes say"};
  return {.accepted = true};
}

std::vector<std::string> PgoutputSeeds() {
  return {testing_bytes::Begin(1, 2, 3),
          testing_bytes::Commit(1, 2, 3),
          testing_bytes::Origin("o"),
          testing_bytes::RelationMessage(1, "t", 'f'),
          testing_bytes::Insert(1, {"1", "x"}),
          testing_bytes::Message(true, "p", "c"),
          Update(1),
          Delete(1),
          Truncate(5),
          Bytes('Y').Number<uint32_t>(9).Text("shop").Text("mood").str()};
}

FuzzOutcome FuzzAssembler(std::string_view bytes) {
  Script script(bytes);
  CheckingSink sink;
  TransactionAssembler assembler(
      "g", "main", [](uint32_t) { return std::string("type"); }, sink);
  while (!script.AtEnd()) {
    const auto message = DecodePgoutput(script.Bytes(script.Number()));
    if (!message.ok()) return {.accepted = sink.chunks > 0};
    const absl::Status status = assembler.Take(*message);
    if (!sink.complaint.empty()) return {.complaint = sink.complaint};
    if (status.ok()) continue;
    const std::string name = ErrorName(status);
    const bool named = name == "malformed_pgoutput" || name == "malformed_marker" ||
                       name == "unmarked_own_transaction";
    return {.accepted = sink.chunks > 0,
            .complaint = named ? "" : "an error without its name: " + name};
  }
  return {.accepted = sink.chunks > 0};
}

std::vector<std::string> AssemblerSeeds() {
  using namespace testing_bytes;  // NOLINT: the test's own vocabulary
  const std::string marker =
      Message(true, MessagePrefixes("main").marker,
              EncodeMarker({.rank = 1,
                            .position = {.incarnation = 5, .sequence = 9, .commit_lsn = Lsn(3)}}));
  const std::string large = Insert(1, {"1", std::string(60'000, 'x')});
  std::vector<std::string> several = {Begin(8, 0, 3), RelationMessage(1, "t")};
  several.insert(several.end(), 10, large);
  several.push_back(Commit(8, 9, 0));
  return {Framed({RelationMessage(1, "t", 'f'), Begin(8, 0, 3), Insert(1, {"1", "x"}), Update(1),
                  Delete(1), Truncate(1), Commit(8, 9, 0)}),
          Framed({Begin(8, 0, 3), Origin("pgduet:g:main:b"), marker, RelationMessage(1, "t"),
                  Insert(1, {"1", "x"}), Commit(8, 9, 0), Begin(18, 0, 4), Insert(1, {"2", "y"}),
                  Commit(18, 19, 0)}),
          Framed({Begin(8, 0, 3), Message(true, "pgduet.barrier", "token"), Commit(8, 9, 0)}),
          Framed(several)};
}

}  // namespace pgduet
