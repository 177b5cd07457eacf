#include "schemas/record_pack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "schemas/record_codec.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {
namespace {

using testing::ElementsAre;

std::string Encoded(uint64_t sequence) { return EncodeRecord(SampleTransaction(sequence))[0]; }

std::string PackOf(const std::vector<std::string>& records) {
  RecordPack pack;
  for (std::string record : records) EXPECT_TRUE(pack.Add(record));
  EXPECT_EQ(pack.records(), records.size());
  return pack.Take();
}

std::string ErrorOf(std::string_view record) { return ErrorName(DecodeEnvelope(record).status()); }

TEST(RecordPackTest, ARecordAloneIsTheMessage) {
  EXPECT_EQ(PackOf({Encoded(1)}), Encoded(1));
  EXPECT_THAT(RecordsOf(Encoded(1)), ElementsAre(Encoded(1)));
}

TEST(RecordPackTest, RecordsComeBackAsTheyWereInOrder) {
  const std::string heartbeat = EncodeRecord(SampleHeartbeat(2))[0];
  const std::string message = PackOf({Encoded(1), Encoded(2), heartbeat, Encoded(3)});
  EXPECT_THAT(RecordsOf(message), ElementsAre(Encoded(1), Encoded(2), heartbeat, Encoded(3)));
}

TEST(RecordPackTest, ItIsAProtobufMessage) {
  wire::Pack pack;
  ASSERT_TRUE(pack.ParseFromString(PackOf({Encoded(1), Encoded(2)})));
  EXPECT_EQ(pack.protocol(), kPackProtocol);
  EXPECT_THAT(pack.records(), ElementsAre(Encoded(1), Encoded(2)));
}

TEST(RecordPackTest, TakingEmptiesIt) {
  RecordPack pack;
  for (uint64_t round = 0; round < 2; ++round) {
    EXPECT_TRUE(pack.empty());
    std::string first = Encoded(1), second = Encoded(2);
    EXPECT_TRUE(pack.Add(first));
    EXPECT_TRUE(pack.Add(second));
    EXPECT_THAT(RecordsOf(pack.Take()), ElementsAre(Encoded(1), Encoded(2)));
  }
}

TEST(RecordPackTest, AFullOneRefusesARecordAndLeavesItWhole) {
  RecordPack pack;
  uint32_t added = 0;
  std::string record = Encoded(1);
  while (pack.Add(record)) {
    ++added;
    record = Encoded(1);
  }
  EXPECT_EQ(record, Encoded(1));
  const std::string message = pack.Take();
  EXPECT_EQ(RecordsOf(message).size(), added);
  EXPECT_LE(message.size(), kRecordBytesMax);
  EXPECT_GT(message.size() + 2 * record.size(), kRecordBytesMax);
}

TEST(RecordPackTest, ARecordOfTheLargestSizeStaysAlone) {
  std::string large(kRecordBytesMax, 'x'), small = "y";
  RecordPack pack;
  EXPECT_TRUE(pack.Add(large));
  EXPECT_FALSE(pack.Add(small));
  EXPECT_EQ(pack.Take(), std::string(kRecordBytesMax, 'x'));
}

TEST(RecordPackTest, ADamagedPackIsOneCorruptRecord) {
  const std::string message = PackOf({Encoded(1), Encoded(2)});
  const size_t first = RecordsOf(message)[0].size() + 5;  // the first record ends there
  for (size_t size = 2; size < message.size(); ++size) {
    const std::string_view cut = std::string_view(message).substr(0, size);
    const auto records = RecordsOf(cut);
    if (size == first) continue;  // a sound pack of one; the stream misses the second
    EXPECT_THAT(records, ElementsAre(cut));
    EXPECT_EQ(ErrorOf(records[0]), "corrupt_record") << size;
  }
  EXPECT_EQ(ErrorOf(RecordsOf(message + "x")[0]), "corrupt_record");
}

TEST(RecordPackTest, APackInAPackIsCorrupt) {
  const std::string inner = PackOf({Encoded(1), Encoded(2)});
  const std::string outer = PackOf({inner, Encoded(3)});
  const auto records = RecordsOf(outer);
  ASSERT_THAT(records, ElementsAre(inner, Encoded(3)));
  EXPECT_EQ(ErrorOf(records[0]), "corrupt_record");
}

TEST(RecordPackTest, ALaterProtocolIsNotTakenApart) {
  std::string message = PackOf({Encoded(1), Encoded(2)});
  message[1] = static_cast<char>(kPackProtocol + 1);
  EXPECT_THAT(RecordsOf(message), ElementsAre(message));
  EXPECT_EQ(ErrorOf(message), "unsupported_protocol");
}

}  // namespace
}  // namespace pgduet
