// Random logs against a simple oracle: whatever writers, zombies, repeats, fragments and reader
// crashes did, each transaction is delivered once, in order and whole; and when a record is lost,
// the stream ends in sequence_gap.
#include <functional>
#include <optional>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/named_error.h"
#include "tests/transport/random_log.h"
#include "transport/record_stream.h"

namespace pgduet {
namespace {

using Event = absl::StatusOr<StreamEvent>;

// What may be broken on purpose between the stream and the oracle: a test of the test.
enum class Fault { kNone, kDeliverDuplicates, kHideRestarts, kSkipGaps, kForgetWriters };

class FaultyStream {
 public:
  FaultyStream(Fault fault, Position applied) : fault_(fault), stream_(Options(), applied) {}

  Event Accept(int64_t offset, const std::string& bytes) {
    if (fault_ == Fault::kForgetWriters) stream_ = WithoutMemory(bytes);
    Event event = stream_.Accept(offset, bytes);
    if (fault_ == Fault::kSkipGaps && ErrorName(event.status()) == "sequence_gap")
      return StreamEvent{};
    if (!event.ok()) return event;
    if (fault_ == Fault::kHideRestarts && event->kind == StreamEventKind::kRestart) {
      event->kind = StreamEventKind::kChunk;
    }
    if (fault_ == Fault::kDeliverDuplicates && event->kind == StreamEventKind::kNothing) {
      auto raw = DecodeEnvelope(bytes);
      if (raw->header.kind == RecordKind::kTransaction && raw->header.fragments == 1) {
        return StreamEvent{StreamEventKind::kChunk, *DecodeBody(*std::move(raw)), offset};
      }
    }
    return event;
  }
  const Position& applied() const { return stream_.applied(); }

 private:
  static RecordStream::Options Options() {
    return {.group = "shop",
            .origin = "us-east",
            .set = "main",
            .rank = 1,
            .policy_hash = 0x1122334455667788,
            .policy_text = ""};
  }
  // At each transaction's first record everything but the position is forgotten: so are older
  // writers.
  RecordStream WithoutMemory(const std::string& bytes) const {
    const auto raw = DecodeEnvelope(bytes);
    if (raw->header.chunk == 0 && raw->header.fragment == 0)
      return RecordStream(Options(), stream_.applied());
    return stream_;
  }
  Fault fault_;
  RecordStream stream_;
};

// The applier, as simple as can be: what it took, and what it has of the transaction that is open.
class Oracle {
 public:
  explicit Oracle(const RandomLog& log) : log_(log) {}

  // A complaint, or nothing.
  std::optional<std::string> Take(const StreamEvent& event) {
    const RecordHeader& header = event.record.header;
    if (event.kind == StreamEventKind::kRestart) {
      if (!open_) return "restart of a transaction that is not open";
      open_ = false;
    }
    if (event.kind != StreamEventKind::kRestart && event.kind != StreamEventKind::kChunk)
      return std::nullopt;
    if (header.chunk == 0) {
      if (open_) return fmt::format("transaction {} begins inside another", header.sequence);
      open_ = true;
      next_chunk_ = 0;
    }
    if (!open_ || next_chunk_ != header.chunk)
      return fmt::format("chunk {} is not the next", header.chunk);
    const std::string id = fmt::format("{}.{}", delivered_ + 1, header.chunk);
    if (event.record.batch.NewRow(event.record.batch.changes.at(0))[0].bytes != id) {
      return fmt::format("expected {}, found sequence {}", id, header.sequence);
    }
    ++next_chunk_;
    if (!header.last) return std::nullopt;
    if (next_chunk_ != log_.chunks(header.sequence)) return "transaction is not whole";
    open_ = false;
    ++delivered_;
    last_offset_ = event.offset;
    return std::nullopt;
  }
  // The reader dies: what is open is undone.
  void Crash() { open_ = false; }
  uint64_t delivered() const { return delivered_; }
  int64_t last_offset() const { return last_offset_; }

 private:
  const RandomLog& log_;
  uint64_t delivered_ = 0;
  bool open_ = false;
  uint32_t next_chunk_ = 0;
  int64_t last_offset_ = -1;
};

// What the oracle says of reading the log: "complete", the name of the error that stopped the
// stream, or a complaint.
std::string Read(RandomLog& log, Fault fault, bool crashes) {
  Oracle oracle(log);
  FaultyStream stream(fault, {});
  for (size_t i = 0; i < log.entries().size(); ++i) {
    if (crashes && log.Chance(10)) {
      oracle.Crash();
      stream = FaultyStream(fault, stream.applied());
      // From the last applied record itself: it tells the new stream which writers are past.
      i = oracle.last_offset() < 0 ? 0 : static_cast<size_t>(oracle.last_offset());
    }
    const Event event = stream.Accept(static_cast<int64_t>(i), log.entries()[i]);
    if (!event.ok()) return ErrorName(event.status());
    if (const auto complaint = oracle.Take(*event)) return *complaint;
  }
  if (oracle.delivered() != log.transactions()) return "transactions are missing";
  return "complete";
}

constexpr uint32_t kRounds = 4000;

TEST(RecordStreamRandomTest, EachTransactionIsDeliveredOnceInOrderAndWhole) {
  for (uint32_t seed = 1; seed <= kRounds; ++seed) {
    SCOPED_TRACE(fmt::format("seed={}", seed));
    RandomLog log(seed);
    ASSERT_EQ(Read(log, Fault::kNone, /*crashes=*/false), "complete");
    ASSERT_EQ(Read(log, Fault::kNone, /*crashes=*/true), "complete");
  }
}

TEST(RecordStreamRandomTest, ALostRecordIsAGapOrWasNotNeeded) {
  uint32_t gaps = 0;
  for (uint32_t seed = 1; seed <= kRounds; ++seed) {
    SCOPED_TRACE(fmt::format("seed={}", seed));
    RandomLog log(seed);
    // Not the last: that the newest record is missing cannot be known.
    if (log.entries().size() < 2) continue;
    log.Drop(log.Below(static_cast<uint32_t>(log.entries().size()) - 1));
    const std::string verdict = Read(log, Fault::kNone, /*crashes=*/false);
    ASSERT_TRUE(verdict == "complete" || verdict == "sequence_gap") << verdict;
    gaps += verdict == "sequence_gap";
  }
  EXPECT_GT(gaps, kRounds / 10);
}

// Without repeats there is only one copy of each record, so losing one is always told.
TEST(RecordStreamRandomTest, ALostRecordOfASimpleLogIsAlwaysAGap) {
  for (uint32_t seed = 1; seed <= 500; ++seed) {
    SCOPED_TRACE(fmt::format("seed={}", seed));
    std::mt19937 random(seed);
    std::vector<std::string> entries;
    const uint64_t transactions = 1 + random() % 6;
    for (uint64_t sequence = 1; sequence <= transactions; ++sequence) {
      const uint32_t chunks = 1 + static_cast<uint32_t>(random() % 3);
      for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
        const auto record =
            EncodeRecord(SampleTransaction(sequence, 1, chunk, chunk + 1 == chunks)).at(0);
        for (auto& piece : CutRecord(record, 1 + static_cast<uint32_t>(random() % 3)))
          entries.push_back(std::move(piece));
      }
    }
    entries.erase(entries.begin() + static_cast<ptrdiff_t>(random() % entries.size()));
    entries.push_back(EncodeRecord(SampleHeartbeat(transactions)).at(0));
    FaultyStream stream(Fault::kNone, {});
    std::string verdict = "complete";
    for (size_t i = 0; i < entries.size() && verdict == "complete"; ++i) {
      const Event event = stream.Accept(static_cast<int64_t>(i), entries[i]);
      if (!event.ok()) verdict = ErrorName(event.status());
    }
    ASSERT_EQ(verdict, "sequence_gap");
  }
}

class PlantedFaultTest : public testing::TestWithParam<Fault> {};

TEST_P(PlantedFaultTest, TheOracleNotices) {
  uint32_t noticed = 0, first_seed = 0;
  for (uint32_t seed = 1; seed <= kRounds; ++seed) {
    RandomLog log(seed);
    if (GetParam() == Fault::kSkipGaps)
      log.Drop(log.Below(static_cast<uint32_t>(log.entries().size())));
    const std::string verdict = Read(log, GetParam(), /*crashes=*/false);
    if (verdict == "complete" || (GetParam() == Fault::kSkipGaps && verdict == "sequence_gap"))
      continue;
    if (noticed++ == 0) first_seed = seed;
  }
  EXPECT_GT(noticed, 0u);
  printf("noticed in %u of %u logs, first seed=%u\n", noticed, kRounds, first_seed);
}

INSTANTIATE_TEST_SUITE_P(RecordStreamRandomTest, PlantedFaultTest,
                         testing::Values(Fault::kDeliverDuplicates, Fault::kHideRestarts,
                                         Fault::kSkipGaps, Fault::kForgetWriters));

}  // namespace
}  // namespace pgduet
