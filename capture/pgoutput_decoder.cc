#include "capture/pgoutput_decoder.h"

#include <limits>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

absl::Status Malformed(std::string_view what) {
  return NamedError(absl::StatusCode::kDataLoss, "malformed_pgoutput",
                    fmt::format("malformed pgoutput message: {}", what),
                    "Report this with the PostgreSQL version; nothing was skipped.");
}

// Reads from the front; after a read past the end everything reads as zero and ok() is false.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool ok() const { return ok_; }
  bool AtEnd() const { return bytes_.empty(); }
  size_t left() const { return bytes_.size(); }

  std::string_view Bytes(size_t count) {
    if (count > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  template <typename T>
  T Number() {
    const std::string_view raw = Bytes(sizeof(T));
    uint64_t value = 0;
    for (const char byte : raw) value = value << 8 | static_cast<unsigned char>(byte);
    return static_cast<T>(value);
  }
  char Letter() { return Number<char>(); }
  Lsn ReadLsn() { return Lsn(Number<uint64_t>()); }
  CommitTime ReadTime() {
    const auto micros = Number<int64_t>();
    if (micros <= std::numeric_limits<int64_t>::max() - kPostgresEpochMicros)
      return micros + kPostgresEpochMicros;
    ok_ = false;
    return 0;
  }
  std::string_view Text() {
    const size_t end = bytes_.find('\0');
    if (end == std::string_view::npos) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view text = Bytes(end);
    Bytes(1);
    return text;
  }
  void Fail() { ok_ = false; }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

std::vector<Value> ReadTuple(Reader& reader) {
  std::vector<Value> values;
  const auto count = reader.Number<uint16_t>();
  if (count > reader.left()) {  // each column has at least its kind byte
    reader.Fail();
    return values;
  }
  values.reserve(count);
  for (uint16_t column = 0; column < count && reader.ok(); ++column) {
    const char kind = reader.Letter();
    switch (kind) {
      case 'n':
      case 'u':
        values.push_back({static_cast<ValueKind>(kind), {}});
        break;
      case 't':
      case 'b':
        values.push_back({static_cast<ValueKind>(kind), reader.Bytes(reader.Number<uint32_t>())});
        break;
      default:
        reader.Fail();
    }
  }
  return values;
}

PgoutputRelation ReadRelation(Reader& reader) {
  PgoutputRelation relation;
  relation.oid = reader.Number<uint32_t>();
  relation.schema = reader.Text();
  relation.name = reader.Text();
  relation.replica_identity = reader.Letter();
  const auto count = reader.Number<uint16_t>();
  if (std::string_view("dnfi").find(relation.replica_identity) == std::string_view::npos)
    reader.Fail();
  for (uint16_t column = 0; column < count && reader.ok(); ++column) {
    PgoutputColumn one;
    const auto flags = reader.Number<uint8_t>();
    if (flags > 1) reader.Fail();
    one.identity = flags == 1;
    one.name = reader.Text();
    one.type_oid = reader.Number<uint32_t>();
    one.type_modifier = reader.Number<int32_t>();
    relation.columns.push_back(one);
  }
  return relation;
}

OldRow ReadOldKind(char letter, Reader& reader) {
  if (letter != 'K' && letter != 'O') reader.Fail();
  return static_cast<OldRow>(letter);
}

PgoutputUpdate ReadUpdate(Reader& reader) {
  PgoutputUpdate update;
  update.relation = reader.Number<uint32_t>();
  char letter = reader.Letter();
  if (letter != 'N') {
    update.old_kind = ReadOldKind(letter, reader);
    update.old_row = ReadTuple(reader);
    letter = reader.Letter();
  }
  if (letter != 'N') reader.Fail();
  update.new_row = ReadTuple(reader);
  return update;
}

PgoutputTruncate ReadTruncate(Reader& reader) {
  PgoutputTruncate truncate;
  const auto count = reader.Number<uint32_t>();
  const auto options = reader.Number<uint8_t>();
  if (options > 3 || count > reader.left() / sizeof(uint32_t)) reader.Fail();
  truncate.cascade = (options & 1) != 0;
  truncate.restart_identity = (options & 2) != 0;
  for (uint32_t relation = 0; relation < count && reader.ok(); ++relation) {
    truncate.relations.push_back(reader.Number<uint32_t>());
  }
  return truncate;
}

PgoutputMessageText ReadMessage(Reader& reader) {
  PgoutputMessageText message;
  const auto flags = reader.Number<uint8_t>();
  if (flags > 1) reader.Fail();
  message.transactional = flags == 1;
  message.lsn = reader.ReadLsn();
  message.prefix = reader.Text();
  message.content = reader.Bytes(reader.Number<uint32_t>());
  return message;
}

PgoutputMessage ReadBody(char kind, Reader& reader) {
  switch (kind) {
    case 'B': {
      PgoutputBegin begin;
      begin.final_lsn = reader.ReadLsn();
      begin.commit_time = reader.ReadTime();
      begin.xid = reader.Number<uint32_t>();
      return begin;
    }
    case 'C': {
      PgoutputCommit commit;
      if (reader.Number<uint8_t>() != 0) reader.Fail();  // no flags are defined
      commit.commit_lsn = reader.ReadLsn();
      commit.end_lsn = reader.ReadLsn();
      commit.commit_time = reader.ReadTime();
      return commit;
    }
    case 'O': {
      PgoutputOrigin origin;
      origin.commit_lsn = reader.ReadLsn();
      origin.name = reader.Text();
      return origin;
    }
    case 'R':
      return ReadRelation(reader);
    case 'Y': {
      PgoutputType type;
      type.oid = reader.Number<uint32_t>();
      type.schema = reader.Text();
      type.name = reader.Text();
      return type;
    }
    case 'I': {
      PgoutputInsert insert;
      insert.relation = reader.Number<uint32_t>();
      if (reader.Letter() != 'N') reader.Fail();
      insert.new_row = ReadTuple(reader);
      return insert;
    }
    case 'U':
      return ReadUpdate(reader);
    case 'D': {
      PgoutputDelete gone;
      gone.relation = reader.Number<uint32_t>();
      gone.old_kind = ReadOldKind(reader.Letter(), reader);
      gone.old_row = ReadTuple(reader);
      return gone;
    }
    case 'T':
      return ReadTruncate(reader);
    case 'M':
      return ReadMessage(reader);
    default:
      reader.Fail();
      return PgoutputMessageText{};
  }
}

}  // namespace

absl::StatusOr<PgoutputMessage> DecodePgoutput(std::string_view payload) {
  if (payload.empty()) return Malformed("empty");
  Reader reader(payload.substr(1));
  PgoutputMessage message = ReadBody(payload.front(), reader);
  if (!reader.ok()) {
    return Malformed(fmt::format("kind={:#04x} bytes={}",
                                 static_cast<unsigned char>(payload.front()), payload.size()));
  }
  if (!reader.AtEnd()) return Malformed(fmt::format("bytes left over: kind={}", payload.front()));
  return message;
}

}  // namespace pgduet
