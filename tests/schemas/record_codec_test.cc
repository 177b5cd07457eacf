#include "schemas/record_codec.h"

#include <algorithm>
#include <cctype>
#include <functional>

#include <gtest/gtest.h>

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "schemas/record_pack.h"
#include "tests/schemas/forged_record.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

Record Decode(const std::string& bytes) {
  auto raw = DecodeEnvelope(bytes);
  EXPECT_TRUE(raw.ok()) << raw.status();
  auto record = DecodeBody(*std::move(raw));
  EXPECT_TRUE(record.ok()) << record.status();
  return *std::move(record);
}

// The name of the error, of whichever half finds it.
std::string ErrorOf(const std::string& bytes) {
  auto raw = DecodeEnvelope(bytes);
  if (!raw.ok()) return ErrorName(raw.status());
  return ErrorName(DecodeBody(*std::move(raw)).status());
}

void ExpectSameRow(std::span<const Value> a, std::span<const Value> b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i], b[i]);
}

void ExpectSame(const Record& a, const Record& b) {
  EXPECT_EQ(a.header.kind, b.header.kind);
  EXPECT_EQ(a.header.group, b.header.group);
  EXPECT_EQ(a.header.origin, b.header.origin);
  EXPECT_EQ(a.header.set, b.header.set);
  EXPECT_EQ(a.header.rank, b.header.rank);
  EXPECT_EQ(a.header.policy_hash, b.header.policy_hash);
  EXPECT_EQ(a.header.incarnation, b.header.incarnation);
  EXPECT_EQ(a.header.writer_epoch, b.header.writer_epoch);
  EXPECT_EQ(a.header.sequence, b.header.sequence);
  EXPECT_EQ(a.header.previous_sequence, b.header.previous_sequence);
  EXPECT_EQ(a.header.commit_lsn, b.header.commit_lsn);
  EXPECT_EQ(a.header.commit_time, b.header.commit_time);
  EXPECT_EQ(a.header.xid, b.header.xid);
  EXPECT_EQ(a.header.chunk, b.header.chunk);
  EXPECT_EQ(a.header.last, b.header.last);
  EXPECT_EQ(a.header.through_lsn, b.header.through_lsn);
  EXPECT_EQ(a.header.sent_at, b.header.sent_at);
  EXPECT_EQ(a.header.closed_time, b.header.closed_time);
  EXPECT_EQ(a.has_vector, b.has_vector);
  EXPECT_EQ(a.vector, b.vector);
  EXPECT_EQ(a.policy_text, b.policy_text);
  EXPECT_EQ(a.notice, b.notice);
  ASSERT_EQ(a.batch.relations.size(), b.batch.relations.size());
  for (size_t i = 0; i < a.batch.relations.size(); ++i)
    EXPECT_EQ(*a.batch.relations[i], *b.batch.relations[i]);
  ASSERT_EQ(a.batch.changes.size(), b.batch.changes.size());
  for (size_t i = 0; i < a.batch.changes.size(); ++i) {
    EXPECT_EQ(a.batch.changes[i].kind, b.batch.changes[i].kind);
    EXPECT_EQ(a.batch.changes[i].old_row, b.batch.changes[i].old_row);
    EXPECT_EQ(a.batch.changes[i].relation, b.batch.changes[i].relation);
    ExpectSameRow(a.batch.NewRow(a.batch.changes[i]), b.batch.NewRow(b.batch.changes[i]));
    ExpectSameRow(a.batch.OldRowOf(a.batch.changes[i]), b.batch.OldRowOf(b.batch.changes[i]));
  }
}

TEST(RecordCodecTest, EveryKindComesBackAsItWas) {
  Record notice = SampleHeartbeat(3);
  notice.header.kind = RecordKind::kNotice;
  notice.notice = "column added";
  ExpectSame(notice, Decode(EncodeRecord(notice)[0]));
  const Record transaction = SampleTransaction(7);
  ExpectSame(transaction, Decode(EncodeRecord(transaction)[0]));
  Record heartbeat = SampleHeartbeat(0);
  heartbeat.header.closed_time = kOldestTime;  // before anything is closed
  ExpectSame(heartbeat, Decode(EncodeRecord(heartbeat)[0]));
  const Record announcement = SampleAnnouncement("a=1\nb=2\n", 5);
  ExpectSame(announcement, Decode(EncodeRecord(announcement)[0]));
}

TEST(RecordCodecTest, ValuesAreViewsIntoTheBodyThatTheBatchKeepsAlive) {
  Record moved;
  {
    Record decoded = Decode(EncodeRecord(SampleTransaction(1))[0]);
    moved = std::move(decoded);
  }
  EXPECT_EQ(moved.batch.NewRow(moved.batch.changes[0])[0].bytes, "1.0");
  EXPECT_EQ(moved.batch.arena.used_bytes(), 0u);
}

// The hand-written encoding of changes is Protobuf's own, byte for byte.
TEST(RecordCodecTest, BytesAreWhatTheGeneratedClassesWrite) {
  Record record = SampleTransaction(7);
  record.batch.relations.push_back(SampleRelation());
  AddChange(record.batch, ChangeKind::kInsert, OldRow::kNone,
            {Text(std::string(300, 'x')), Text("")}, {}, /*relation=*/1);
  const std::string bytes = EncodeRecord(record)[0];
  wire::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(bytes));
  EXPECT_EQ(envelope.SerializeAsString(), bytes);
  wire::Body body;
  ASSERT_TRUE(body.ParseFromString(envelope.body()));
  EXPECT_EQ(body.SerializeAsString(), envelope.body());
  ASSERT_EQ(body.changes_size(), 5);
  EXPECT_EQ(body.changes(1).kind(), static_cast<uint32_t>('U'));
  EXPECT_EQ(body.changes(1).old_row(), static_cast<uint32_t>('O'));
  EXPECT_EQ(body.changes(1).kinds(), "tutt");
  EXPECT_EQ(body.changes(1).values_size(), 3);
  EXPECT_EQ(body.changes(4).relation(), 1u);
  wire::Header header;
  ASSERT_TRUE(header.ParseFromString(envelope.header()));
  EXPECT_EQ(header.vector().entries_size(), 2);
}

TEST(RecordCodecTest, EstimateIsNeverBelowTheEncodedSize) {
  const Record record = SampleTransaction(7);
  size_t estimate = 0;
  for (const Change& change : record.batch.changes)
    estimate += EncodedSizeEstimate(record.batch, change);
  wire::Body body;
  auto raw = DecodeEnvelope(EncodeRecord(record)[0]);
  ASSERT_TRUE(raw.ok() && body.ParseFromString(raw->body));
  size_t encoded = 0;
  for (const auto& change : body.changes()) encoded += change.ByteSizeLong() + 2;
  EXPECT_GE(estimate, encoded);
  EXPECT_LE(estimate, encoded + 20 * record.batch.changes.size());
}

TEST(RecordCodecTest, ALargeRowIsCutIntoFragmentsThatJoin) {
  const Record record = LargeTransaction(1, 3 * kRecordBytesMax);
  const auto pieces = EncodeRecord(record);
  ASSERT_EQ(pieces.size(), 4u);
  std::string joined;
  RawRecord last;
  for (uint32_t i = 0; i < pieces.size(); ++i) {
    EXPECT_LE(pieces[i].size(), kRecordBytesMax);
    auto raw = DecodeEnvelope(pieces[i]);
    ASSERT_TRUE(raw.ok()) << raw.status();
    EXPECT_EQ(raw->header.fragment, i);
    EXPECT_EQ(raw->header.fragments, pieces.size());
    EXPECT_EQ(raw->has_vector, true);
    joined += raw->body;
    last = *std::move(raw);
  }
  last.body = std::move(joined);
  auto decoded = DecodeBody(std::move(last));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  ExpectSame(record, *decoded);
}

TEST(RecordCodecTest, ARowLargerThanReadersTakeIsNamedByItsWriter) {
  const std::string piece(kRowBytesMax / 128, 'x');
  const Relation wide{.schema = "public", .name = "films", .columns = std::vector<Column>(129)};
  ChangeBatch batch;
  batch.relations.push_back(std::make_shared<const Relation>(wide));
  batch.values.assign(128, Text(piece));
  batch.values.push_back(Text(""));
  batch.changes.push_back({.kind = ChangeKind::kInsert, .new_count = 129});
  EXPECT_TRUE(CheckRowSizes(batch).ok());
  batch.values.back() = Text("x");
  EXPECT_EQ(ErrorName(CheckRowSizes(batch)), "row_too_large");
  EXPECT_EQ(CheckRowSizes(batch).message(),
            "row is too large to be published: table=public.films bytes=134217729 max=134217728");
  batch.changes[0] = {.kind = ChangeKind::kDelete, .old_row = OldRow::kFull, .old_count = 129};
  EXPECT_EQ(ErrorName(CheckRowSizes(batch)), "row_too_large");
}

TEST(RecordCodecTest, ARecordAtTheLimitIsNotCut) {
  size_t low = kRecordBytesMax - 2048, high = kRecordBytesMax;
  while (low + 1 < high) {
    const size_t middle = (low + high) / 2;
    (EncodeRecord(LargeTransaction(1, middle)).size() == 1 ? low : high) = middle;
  }
  for (const size_t bytes : {low, high}) {
    for (const std::string& piece : EncodeRecord(LargeTransaction(1, bytes))) {
      EXPECT_LE(piece.size(), kRecordBytesMax);
      EXPECT_TRUE(DecodeEnvelope(piece).ok());
    }
  }
}

TEST(RecordCodecTest, ABodyDecodedTwiceTakesItsRelationFromTheCache) {
  RelationCache cache;
  const std::string bytes = EncodeRecord(SampleTransaction(1))[0];
  std::vector<std::shared_ptr<const Relation>> relations;
  for (int i = 0; i < 2; ++i) {
    auto raw = DecodeEnvelope(bytes);
    auto body = std::make_shared<const std::string>(raw->body);
    auto record = DecodeBody(*std::move(raw), body, &cache);
    ASSERT_TRUE(record.ok());
    relations.push_back(record->batch.relations[0]);
  }
  EXPECT_EQ(relations[0], relations[1]);
}

TEST(RecordCodecTest, EveryTruncationIsCorrupt) {
  const std::string bytes = EncodeRecord(SampleTransaction(1))[0];
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ErrorOf(bytes.substr(0, size)), "corrupt_record") << size;
  }
  EXPECT_EQ(ErrorOf(bytes + "x"), "corrupt_record");
}

TEST(RecordCodecTest, EveryFlippedBitIsNoticed) {
  const std::string bytes = EncodeRecord(SampleTransaction(1))[0];
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const std::string name = ErrorOf(flipped);
    EXPECT_TRUE(name == "corrupt_record" || (bit / 8 < 2 && name == "unsupported_protocol"))
        << bit << " " << name;
  }
}

// What is written by hand is what Protobuf would write: each field in its place, once.
void ExpectProtobufWritesTheSame(const Record& record) {
  wire::Envelope envelope;
  wire::Header header;
  wire::Body body;
  ASSERT_TRUE(envelope.ParseFromString(EncodeRecord(record)[0]));
  ASSERT_TRUE(header.ParseFromString(envelope.header()));
  ASSERT_TRUE(body.ParseFromString(envelope.body()));
  EXPECT_EQ(header.SerializeAsString(), envelope.header());
  EXPECT_EQ(body.SerializeAsString(), envelope.body());
}

TEST(RecordCodecTest, HeaderAndBodyAreWhatProtobufWrites) {
  ExpectProtobufWritesTheSame(SampleHeartbeat(0));
  ExpectProtobufWritesTheSame(SampleTransaction(1));
  ExpectProtobufWritesTheSame(SampleTransaction(300, 70'000));
  Record unusual = SampleTransaction(9);
  unusual.header.rank = 0;
  unusual.header.xid = UINT32_MAX;
  unusual.header.closed_time = kOldestTime;
  unusual.header.sequence = UINT64_MAX;
  ExpectProtobufWritesTheSame(unusual);
}

TEST(RecordCodecTest, HeaderFieldsOutOfOrderAreRefused) {
  wire::Envelope envelope;
  ASSERT_TRUE(envelope.ParseFromString(EncodeRecord(SampleTransaction(5))[0]));
  envelope.set_header(envelope.header() + "\x08\x01");  // the kind once more
  EXPECT_EQ(ErrorOf(SealRecord(envelope)), "invalid_record");
}

TEST(RecordCodecTest, AFutureProtocolIsToldApartFromDamage) {
  Record record = SampleTransaction(1);
  record.header.protocol = kPackProtocol + 1;
  EXPECT_EQ(ErrorOf(EncodeRecord(record)[0]), "unsupported_protocol");
}

TEST(RecordCodecTest, ARecordOfTheFirstProtocolIsReadAndHasNoClosedTime) {
  Record record = SampleTransaction(1);
  record.header.protocol = 1;
  const std::string bytes = EncodeRecord(record)[0];
  const Record decoded = Decode(bytes);
  EXPECT_EQ(decoded.header.protocol, 1U);
  EXPECT_EQ(decoded.header.closed_time, kOldestTime);
  EXPECT_EQ(
      ErrorOf(ForgeRecord(
          bytes, [](wire::Header& header) { header.set_closed_time(5); }, [](wire::Body&) {})),
      "invalid_record");
  record.header.protocol = 0;
  EXPECT_EQ(ErrorOf(EncodeRecord(record)[0]), "unsupported_protocol");
}

TEST(RecordCodecTest, ARecordLargerThanTheLimitIsOversized) {
  EXPECT_EQ(ErrorOf(std::string(kRecordBytesMax + 1, 'x')), "oversized_record");
}

template <typename Forged>
std::string NameOf(const testing::TestParamInfo<Forged>& info) {
  std::string name = info.param.what;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
}

struct ForgedHeader {
  const char* what;
  std::function<void(wire::Header&)> forge;
};

class ForgedHeaderTest : public testing::TestWithParam<ForgedHeader> {};

TEST_P(ForgedHeaderTest, IsInvalid) {
  const std::string forged =
      ForgeRecord(EncodeRecord(SampleTransaction(5))[0], GetParam().forge, [](wire::Body&) {});
  EXPECT_EQ(ErrorOf(forged), "invalid_record");
}

const ForgedHeader kForgedHeaders[] = {
    {"no kind", [](auto& h) { h.set_kind(0); }},
    {"unknown kind", [](auto& h) { h.set_kind(6); }},
    {"no group", [](auto& h) { h.clear_group(); }},
    {"long group", [](auto& h) { h.set_group(std::string(kNameBytesMax + 1, 'x')); }},
    {"origin not UTF-8", [](auto& h) { h.set_origin("\xFF"); }},
    {"set with NUL", [](auto& h) { h.set_set(std::string("a\0b", 3)); }},
    {"rank out of range", [](auto& h) { h.set_rank(kRegionsMax); }},
    {"no incarnation", [](auto& h) { h.set_incarnation(0); }},
    {"sequence 0", [](auto& h) { h.set_sequence(0); }},
    {"previous not before", [](auto& h) { h.set_previous_sequence(3); }},
    {"no LSN", [](auto& h) { h.set_commit_lsn(0); }},
    {"no time", [](auto& h) { h.set_commit_time(kOldestTime); }},
    {"time beyond reason", [](auto& h) { h.set_commit_time(INT64_MAX); }},
    {"sent beyond reason", [](auto& h) { h.set_sent_at(INT64_MIN); }},
    {"closed beyond reason", [](auto& h) { h.set_closed_time(INT64_MAX); }},
    {"through before commit", [](auto& h) { h.set_through_lsn(1); }},
    {"chunk out of range", [](auto& h) { h.set_chunk(kChunksMax); }},
    {"no fragments", [](auto& h) { h.set_fragments(0); }},
    {"fragment after the last", [](auto& h) { h.set_fragment(1); }},
    {"too many fragments", [](auto& h) { h.set_fragments(kFragmentsMax + 1); }},
    {"no vector", [](auto& h) { h.clear_vector(); }},
    {"inner chunk with vector", [](auto& h) { h.set_chunk(1), h.set_last(false); }},
    {"vector without itself", [](auto& h) { h.mutable_vector()->mutable_entries()->RemoveLast(); }},
    {"vector of another LSN",
     [](auto& h) { h.mutable_vector()->mutable_entries(1)->set_commit_lsn(7); }},
    {"vector rank out of range",
     [](auto& h) { h.mutable_vector()->mutable_entries(1)->set_rank(32); }},
    {"vector out of order",
     [](auto& h) { h.mutable_vector()->mutable_entries()->SwapElements(0, 1); }},
    {"vector time beyond reason",
     [](auto& h) { h.mutable_vector()->mutable_entries(0)->set_commit_time(INT64_MAX); }},
    {"unknown field",
     [](auto& h) { h.GetReflection()->MutableUnknownFields(&h)->AddVarint(99, 1); }},
    {"unknown field in vector",
     [](auto& h) {
       h.GetReflection()->MutableUnknownFields(h.mutable_vector())->AddVarint(99, 1);
     }},
};
INSTANTIATE_TEST_SUITE_P(RecordCodecTest, ForgedHeaderTest, testing::ValuesIn(kForgedHeaders),
                         NameOf<ForgedHeader>);

struct ForgedBody {
  const char* what;
  std::function<void(wire::Body&)> forge;
};

class ForgedBodyTest : public testing::TestWithParam<ForgedBody> {};

TEST_P(ForgedBodyTest, IsInvalid) {
  const std::string forged = ForgeRecord(
      EncodeRecord(SampleTransaction(5))[0], [](wire::Header&) {}, GetParam().forge);
  EXPECT_EQ(ErrorOf(forged), "invalid_record");
}

wire::Change& First(wire::Body& body) { return *body.mutable_changes(0); }
wire::Column& FirstColumn(wire::Body& body) {
  return *body.mutable_relations(0)->mutable_columns(0);
}

const ForgedBody kForgedBodies[] = {
    {"no schema", [](auto& b) { b.mutable_relations(0)->clear_schema(); }},
    {"long name",
     [](auto& b) { b.mutable_relations(0)->set_name(std::string(kNameBytesMax + 1, 'x')); }},
    {"name not UTF-8", [](auto& b) { b.mutable_relations(0)->set_name("\xC0\x80"); }},
    {"unknown identity", [](auto& b) { b.mutable_relations(0)->set_replica_identity('x'); }},
    {"column without name", [](auto& b) { FirstColumn(b).clear_name(); }},
    {"column with long name",
     [](auto& b) { FirstColumn(b).set_name(std::string(kNameBytesMax + 1, 'x')); }},
    {"type not UTF-8", [](auto& b) { FirstColumn(b).set_type_name("\xFF"); }},
    {"too many columns",
     [](auto& b) {
       while (b.relations(0).columns_size() <= static_cast<int>(kColumnsMax)) {
         b.mutable_relations(0)->add_columns()->set_name("c");
       }
     }},
    {"unknown relation", [](auto& b) { First(b).set_relation(1); }},
    {"relation beyond 32 bits", [](auto& b) { First(b).set_relation(UINT32_MAX); }},
    {"unknown kind", [](auto& b) { First(b).set_kind('X'); }},
    {"no kind", [](auto& b) { First(b).set_kind(0); }},
    {"unknown old row", [](auto& b) { First(b).set_old_row('X'); }},
    {"insert with old row", [](auto& b) { First(b).set_old_row('K'); }},
    {"delete without old row", [](auto& b) { b.mutable_changes(2)->clear_old_row(); }},
    {"truncate with a row", [](auto& b) { b.mutable_changes(3)->set_kinds("tt"); }},
    {"too few kinds", [](auto& b) { First(b).set_kinds("t"); }},
    {"too many kinds", [](auto& b) { First(b).set_kinds("ttt"); }},
    {"unknown kind of value", [](auto& b) { First(b).set_kinds("tx"); }},
    {"too few values", [](auto& b) { First(b).mutable_values()->RemoveLast(); }},
    {"too many values", [](auto& b) { First(b).add_values("x"); }},
    {"text not UTF-8", [](auto& b) { First(b).set_values(0, "\xFF"); }},
    {"text with NUL", [](auto& b) { First(b).set_values(0, std::string("\0", 1)); }},
    {"policy in a transaction", [](auto& b) { b.set_policy_text("x"); }},
    {"notice in a transaction", [](auto& b) { b.set_notice("x"); }},
    {"unknown field",
     [](auto& b) { b.GetReflection()->MutableUnknownFields(&b)->AddVarint(9, 1); }},
    {"unknown field in relation",
     [](auto& b) {
       b.GetReflection()->MutableUnknownFields(b.mutable_relations(0))->AddVarint(9, 1);
     }},
    {"unknown field in column",
     [](auto& b) { b.GetReflection()->MutableUnknownFields(&FirstColumn(b))->AddVarint(9, 1); }},
    {"unknown field in change",
     [](auto& b) { b.GetReflection()->MutableUnknownFields(&First(b))->AddVarint(9, 1); }},
};
INSTANTIATE_TEST_SUITE_P(RecordCodecTest, ForgedBodyTest, testing::ValuesIn(kForgedBodies),
                         NameOf<ForgedBody>);

TEST(RecordCodecTest, AForgedRecordIsAsGoodAsTheOriginalWhenNothingWasChanged) {
  const std::string bytes = EncodeRecord(SampleTransaction(5))[0];
  EXPECT_EQ(ForgeRecord(
                bytes, [](wire::Header&) {}, [](wire::Body&) {}),
            bytes);
}

TEST(RecordCodecTest, AHeartbeatCarriesNoChanges) {
  const std::string forged = ForgeRecord(
      EncodeRecord(SampleTransaction(5))[0],
      [](wire::Header& header) { header.set_kind(static_cast<uint32_t>(RecordKind::kHeartbeat)); },
      [](wire::Body&) {});
  EXPECT_EQ(ErrorOf(forged), "invalid_record");
}

}  // namespace
}  // namespace pgduet
