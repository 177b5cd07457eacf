// The record stream: a script picks, damages and forges records of a log; what the stream hands out
// must be whole transactions, each once, in order, whatever came.
#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/record.pb.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/schemas/forged_record.h"
#include "tests/schemas/record_samples.h"
#include "transport/record_stream.h"

namespace pgduet {
namespace {

constexpr uint64_t kTransactions = 6;
constexpr uint32_t kEpochs = 3;

bool IsDocumented(const absl::Status& status) {
  constexpr std::array<std::string_view, 9> kNames = {
      "corrupt_record",   "unsupported_protocol", "invalid_record",
      "oversized_record", "foreign_group",        "foreign_origin",
      "policy_mismatch",  "incarnation_changed",  "sequence_gap"};
  return std::find(kNames.begin(), kNames.end(), ErrorName(status)) != kNames.end();
}

// Of each writer: an announcement, then for each number a heartbeat and a transaction, as one
// chunk, in chunks or in fragments.
const std::vector<std::string>& Log() {
  static const std::vector<std::string> kLog = [] {
    std::vector<std::string> log;
    for (uint32_t epoch = 1; epoch <= kEpochs; ++epoch) {
      log.push_back(EncodeRecord(SampleAnnouncement("policy=x\n", 0x1122334455667788, epoch))[0]);
      for (uint64_t sequence = 1; sequence <= kTransactions; ++sequence) {
        log.push_back(EncodeRecord(SampleHeartbeat(sequence - 1, epoch))[0]);
        const uint32_t chunks = 1 + sequence % 3;
        for (uint32_t chunk = 0; chunk < chunks; ++chunk) {
          const std::string bytes =
              EncodeRecord(SampleTransaction(sequence, epoch, chunk, chunk + 1 == chunks))[0];
          if (sequence % 2 == 0) {
            for (std::string& piece : CutRecord(bytes, 2)) log.push_back(std::move(piece));
          } else {
            log.push_back(bytes);
          }
        }
      }
    }
    return log;
  }();
  return kLog;
}

void ForgeHeader(wire::Header& header, uint32_t field, uint32_t value) {
  switch (field % 10) {
    case 0:
      return header.set_sequence(value), header.set_previous_sequence(value - 1);
    case 1:
      return header.set_writer_epoch(value);
    case 2:
      return header.set_chunk(value);
    case 3:
      return header.set_last(value % 2 != 0);
    case 4:
      return header.set_fragment(value);
    case 5:
      return header.set_fragments(value);
    case 6:
      return header.set_commit_lsn(header.commit_lsn() + value);
    case 7:
      return header.set_incarnation(value);
    case 8:
      return header.set_kind(value % 6);
    default:
      return header.set_commit_time(value);
  }
}

std::string NextRecord(Script& script, size_t& next) {
  const uint32_t action = script.Byte();
  if (action % 4 == 1) next = script.Byte();
  std::string bytes = Log()[next++ % Log().size()];
  if (action % 4 == 2) {
    const uint32_t field = script.Byte(), value = script.Byte();
    const std::string forged = ForgeRecord(
        bytes, [&](wire::Header& header) { ForgeHeader(header, field, value); },
        [](wire::Body&) {});
    if (!forged.empty()) bytes = forged;
  } else if (action % 4 == 3) {
    bytes[script.Number() % bytes.size()] ^= static_cast<char>(1 + script.Byte());
    wire::Envelope envelope;
    if (action >= 128 && envelope.ParseFromString(bytes)) bytes = SealRecord(envelope);
  }
  return bytes;
}

// What an applier may rely on.
class Reader {
 public:
  std::string Take(const StreamEvent& event, const Position& applied) {
    const RecordHeader& header = event.record.header;
    if (event.kind == StreamEventKind::kHeartbeat) {
      return header.sequence == applied.sequence ? "" : "a heartbeat of another place";
    }
    if (event.kind == StreamEventKind::kNothing)
      return applied.sequence == done_ ? "" : "progress without a transaction";
    if (event.kind == StreamEventKind::kRestart && !open_) return "a restart of nothing";
    if (event.kind == StreamEventKind::kRestart) open_.reset();
    if ((header.chunk == 0) == open_.has_value())
      return "a transaction begins inside another, or never began";
    if (header.sequence != done_ + 1) return "a transaction out of order";
    if (open_ && (header.chunk != open_->chunk + 1 || header.commit_lsn != open_->commit_lsn))
      return "a chunk is not the next";
    open_ = header;
    if (!header.last) return applied.sequence == done_ ? "" : "progress before the last chunk";
    open_.reset();
    ++done_;
    return applied.sequence == done_ && applied.commit_lsn == header.commit_lsn
               ? ""
               : "no progress after the last chunk";
  }
  uint64_t done() const { return done_; }

 private:
  uint64_t done_ = 0;
  std::optional<RecordHeader> open_;
};

}  // namespace

FuzzOutcome FuzzRecordStream(std::string_view bytes) {
  Script script(bytes);
  RecordStream stream({.group = "shop",
                       .origin = "us-east",
                       .set = "main",
                       .rank = 1,
                       .policy_hash = 0x1122334455667788,
                       .policy_text = "policy=x\n"},
                      Position{});
  Reader reader;
  size_t next = 0;
  for (int64_t offset = 0; !script.AtEnd() && offset < 2000; ++offset) {
    const std::string record = NextRecord(script, next);
    const Position before = stream.applied();
    const auto event = stream.Accept(offset, record);
    if (!event.ok()) {
      if (!IsDocumented(event.status()))
        return {.complaint = "an error without its name: " + ErrorName(event.status())};
      if (stream.applied() != before) return {.complaint = "a refused record moved the stream"};
      if (stream.Accept(offset, record).status() != event.status())
        return {.complaint = "the same entry is judged differently"};
      continue;
    }
    const std::string complaint = reader.Take(*event, stream.applied());
    if (!complaint.empty()) return {.complaint = fmt::format("{}: offset={}", complaint, offset)};
  }
  return {.accepted = reader.done() > 0};
}

std::vector<std::string> RecordStreamSeeds() {
  const std::string all(Log().size() / kEpochs, '\0');
  // The whole log; the first writer ends early and a second one sends all; records twice; one
  // forged, one damaged.
  return {all, std::string(10, '\0') + std::string("\1\x16", 2) + all,
          std::string("\0\0\0\1\0\0\0\1\2\0\0\0\0\1\5", 15) + all,
          std::string("\0\0\0\2\0\5\0\0\2\1\7", 11) + all,
          std::string("\0\3\x20\0\1\0\0\x83\x21\0\1\0\0", 13) + all};
}

}  // namespace pgduet
