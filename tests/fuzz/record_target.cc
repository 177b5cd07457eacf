// A record: any bytes, and the same bytes with a right checksum, so that what lies behind it is
// reached.
#include <algorithm>
#include <array>

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "schemas/record_codec.h"
#include "schemas/record_pack.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/schemas/forged_record.h"
#include "tests/schemas/record_fields.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

bool IsDocumented(const absl::Status& status) {
  constexpr std::array<std::string_view, 4> kNames = {"corrupt_record", "unsupported_protocol",
                                                      "oversized_record", "invalid_record"};
  return std::find(kNames.begin(), kNames.end(), ErrorName(status)) != kNames.end();
}

// Which piece of a cut chunk a record is belongs to its envelope: a record encoded again is whole.
Fields FieldsOfWhole(const Record& record) {
  Fields fields = FieldsOf(record);
  fields.erase("header.fragment");
  fields.erase("header.fragments");
  return fields;
}

// What was decoded comes back the same from its own encoding, and that encoding is the only one
// that we write.
FuzzOutcome CheckComesBack(const Record& record) {
  const std::vector<std::string> encoded = EncodeRecord(record);
  if (encoded.size() != 1) return {.complaint = "a record of one piece is encoded in several"};
  auto raw = DecodeEnvelope(encoded[0]);
  if (!raw.ok())
    return {.complaint = "own encoding is refused: " + std::string(raw.status().message())};
  auto again = DecodeBody(*std::move(raw));
  if (!again.ok())
    return {.complaint = "own body is refused: " + std::string(again.status().message())};
  if (FieldsOfWhole(*again) != FieldsOfWhole(record))
    return {.complaint = "the record changed on its way"};
  if (EncodeRecord(*again) != encoded) return {.complaint = "two encodings of one record"};
  return {.accepted = true};
}

FuzzOutcome CheckOne(std::string_view bytes) {
  auto raw = DecodeEnvelope(bytes);
  if (!raw.ok())
    return {.complaint = IsDocumented(raw.status()) ? "" : "an error without its name"};
  const auto body = std::make_shared<const std::string>(raw->body);
  RelationCache cache;
  auto record = DecodeBody(*raw, body, &cache);
  auto cached = DecodeBody(*std::move(raw), body, &cache);
  if (record.status() != cached.status()) return {.complaint = "the cache changes the verdict"};
  if (!record.ok())
    return {.complaint = IsDocumented(record.status()) ? "" : "an error without its name"};
  if (FieldsOf(*record) != FieldsOf(*cached)) return {.complaint = "the cache changes the record"};
  return CheckComesBack(*record);
}

}  // namespace

FuzzOutcome FuzzRecord(std::string_view bytes) {
  FuzzOutcome outcome;
  for (const std::string_view record : RecordsOf(bytes)) {
    const FuzzOutcome one = CheckOne(record);
    if (!one.complaint.empty()) return one;
    outcome.accepted |= one.accepted;
  }
  wire::Envelope envelope;
  if (!envelope.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return outcome;
  envelope.set_protocol(kProtocolVersion);
  FuzzOutcome sealed = CheckOne(SealRecord(envelope));
  sealed.accepted |= outcome.accepted;
  return sealed;
}

std::vector<std::string> RecordSeeds() {
  Record notice = SampleHeartbeat(3);
  notice.header.kind = RecordKind::kNotice;
  notice.notice = "column added";
  std::vector<std::string> seeds = CutRecord(EncodeRecord(SampleTransaction(2))[0], 3);
  seeds.push_back(EncodeRecord(SampleTransaction(7))[0]);
  seeds.push_back(EncodeRecord(SampleTransaction(8, 2, 0, /*last=*/false))[0]);
  seeds.push_back(EncodeRecord(SampleHeartbeat(0))[0]);
  seeds.push_back(EncodeRecord(SampleAnnouncement("policy=last_write_wins\n", 5))[0]);
  seeds.push_back(EncodeRecord(notice)[0]);
  RecordPack pack;
  for (std::string one : {seeds[3], seeds[4], seeds[5]}) pack.Add(one);
  seeds.push_back(pack.Take());
  return seeds;
}

}  // namespace pgduet
