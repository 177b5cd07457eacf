// What each stage of the line costs for one inserted row, and the floor under it: a copy of the
// same bytes. A time is that of a thousand rows; items_per_second counts rows.
#include <cstring>

#include <benchmark/benchmark.h>

#include "apply/bulk_copy.h"
#include "apply/change_groups.h"
#include "bench/micro/sample_rows.h"
#include "capture/pgoutput_decoder.h"
#include "schemas/record_codec.h"

namespace pgduet::micro {
namespace {

void CountRows(benchmark::State& state, size_t bytes) {
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kRows);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

// The floor of everything that reads `bytes` and leaves them somewhere else.
void CopyBytes(benchmark::State& state, const std::string& bytes) {
  std::string copy(bytes.size(), '\0');
  for (auto _ : state) {
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    benchmark::DoNotOptimize(copy.data());
    benchmark::ClobberMemory();
  }
  CountRows(state, bytes.size());
}

std::string Joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

void FloorOfPgoutput(benchmark::State& state) { CopyBytes(state, Joined(InsertMessages())); }
void FloorOfRecord(benchmark::State& state) { CopyBytes(state, EncodeRecord(BulkRecord()).at(0)); }
void FloorOfMemory(benchmark::State& state) {
  const std::string large(64 << 20, 'x');
  std::string copy(large.size(), '\0');
  for (auto _ : state) {
    std::memcpy(copy.data(), large.data(), large.size());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * large.size()));
}

void DecodePgoutputInserts(benchmark::State& state) {
  const std::vector<std::string> messages = InsertMessages();
  for (auto _ : state) {
    for (const std::string& message : messages) benchmark::DoNotOptimize(DecodePgoutput(message));
  }
  CountRows(state, BytesOf(messages));
}

void EncodeRecordOfInserts(benchmark::State& state) {
  const Record record = BulkRecord();
  size_t bytes = 0;
  for (auto _ : state) {
    std::vector<std::string> encoded = EncodeRecord(record);
    bytes = BytesOf(encoded);
    benchmark::DoNotOptimize(encoded);
  }
  CountRows(state, bytes);
}

// Checksum, header and vector; then all values as views.
void DecodeRecordOfInserts(benchmark::State& state) {
  const std::string bytes = EncodeRecord(BulkRecord()).at(0);
  RelationCache cache;
  for (auto _ : state) {
    RawRecord raw = *DecodeEnvelope(bytes);
    auto body = std::make_shared<const std::string>(std::move(raw.body));
    benchmark::DoNotOptimize(DecodeBody(std::move(raw), std::move(body), &cache));
  }
  CountRows(state, bytes.size());
}

void GroupInsertsByKey(benchmark::State& state) {
  std::vector<ApplyUnit> units(1);
  Record record = BulkRecord();
  units[0] = {.header = record.header, .vector = record.vector, .batch = std::move(record.batch)};
  AccountTable catalog;
  for (auto _ : state) benchmark::DoNotOptimize(GroupChanges(units, catalog, Grouping::kByKey));
  CountRows(state, 0);
}

// One parameter for each column: what `unnest` takes.
void BuildArrayParameters(benchmark::State& state) {
  const Record record = BulkRecord();
  size_t bytes = 0;
  for (auto _ : state) {
    std::vector<ArrayLiteral> columns(4);
    for (const Change& change : record.batch.changes) {
      const auto row = record.batch.NewRow(change);
      for (size_t column = 0; column < 4; ++column) columns[column].Add(row[column].bytes);
    }
    bytes = 0;
    for (ArrayLiteral& column : columns) bytes += std::move(column).Finish().size();
    benchmark::DoNotOptimize(bytes);
  }
  CountRows(state, bytes);
}

void BuildCopyText(benchmark::State& state) {
  const Record record = BulkRecord();
  std::string text;
  for (auto _ : state) {
    text.clear();
    for (const Value& value : record.batch.values) {
      AppendCopyValue(text, value);
      text.push_back('\t');
    }
    benchmark::DoNotOptimize(text.data());
  }
  CountRows(state, text.size());
}

BENCHMARK(FloorOfMemory);
BENCHMARK(FloorOfPgoutput);
BENCHMARK(DecodePgoutputInserts);
BENCHMARK(FloorOfRecord);
BENCHMARK(EncodeRecordOfInserts);
BENCHMARK(DecodeRecordOfInserts);
BENCHMARK(GroupInsertsByKey);
BENCHMARK(BuildArrayParameters);
BENCHMARK(BuildCopyText);

}  // namespace
}  // namespace pgduet::micro
