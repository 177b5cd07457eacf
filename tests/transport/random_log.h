// A log as several runs of an agent would have left it: each writer continues from the tail that it
// finds and dies at a random record; what it had queued may still trickle in later, between the
// records of its successors; the producer may repeat its last records. The last writer finishes,
// with a heartbeat after the last transaction.
#pragma once

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "schemas/record_codec.h"
#include "tests/schemas/forged_record.h"
#include "tests/schemas/record_samples.h"

namespace pgduet {

class RandomLog {
 public:
  explicit RandomLog(uint32_t seed) : random_(seed), transactions_(1 + Below(12)) {
    for (uint64_t i = 0; i < transactions_; ++i) chunks_.push_back(1 + Below(4));
    const uint32_t writers = 1 + Below(4);
    for (uint32_t epoch = 1; epoch <= writers; ++epoch) Write(epoch, /*finishes=*/epoch == writers);
    while (!zombies_.empty()) TrickleIn();
    // A newest heartbeat: what is missing before it can be noticed.
    entries_.push_back(Encoded(SampleHeartbeat(transactions_, writers)));
  }

  uint64_t transactions() const { return transactions_; }
  uint32_t chunks(uint64_t sequence) const { return chunks_[sequence - 1]; }
  const std::vector<std::string>& entries() const { return entries_; }
  void Drop(size_t entry) { entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(entry)); }
  uint32_t Below(uint32_t bound) {
    return std::uniform_int_distribution<uint32_t>(0, bound - 1)(random_);
  }
  bool Chance(uint32_t one_in) { return Below(one_in) == 0; }

 private:
  static std::string Encoded(const Record& record) { return EncodeRecord(record).at(0); }

  // All that this writer would write after `sequence`, had it the time.
  std::vector<std::string> Script(uint64_t sequence, uint32_t epoch) {
    std::vector<std::string> script = {Encoded(SampleHeartbeat(sequence, epoch))};
    while (++sequence <= transactions_) {
      for (uint32_t chunk = 0; chunk < chunks(sequence); ++chunk) {
        const bool last = chunk + 1 == chunks(sequence);
        const std::string record = Encoded(SampleTransaction(sequence, epoch, chunk, last));
        if (Chance(4)) {
          for (std::string& piece : CutRecord(record, 2 + Below(2)))
            script.push_back(std::move(piece));
        } else {
          script.push_back(record);
        }
        if (!last && Chance(6)) script.push_back(Encoded(SampleHeartbeat(sequence - 1, epoch)));
      }
      if (Chance(3)) script.push_back(Encoded(SampleHeartbeat(sequence, epoch)));
    }
    return script;
  }

  // What a writer that starts now takes as the last transaction: the readers' own judgement.
  uint64_t Tail() const {
    uint64_t epoch = 0, sequence = 0;
    for (const std::string& entry : entries_) {
      const auto raw = DecodeEnvelope(entry);
      const RecordHeader& header = raw->header;
      if (header.writer_epoch < epoch) continue;
      epoch = header.writer_epoch;
      if (header.last && header.fragment + 1 == header.fragments) sequence = header.sequence;
    }
    return sequence;
  }

  void Write(uint32_t epoch, bool finishes) {
    const std::vector<std::string> script = Script(Tail(), epoch);
    const size_t end = finishes ? script.size() : Below(static_cast<uint32_t>(script.size()) + 1);
    for (size_t i = 0; i < end; ++i) {
      entries_.push_back(script[i]);
      if (Chance(5)) {
        const size_t repeated = 1 + Below(static_cast<uint32_t>(std::min<size_t>(i + 1, 3)));
        for (size_t j = i + 1 - repeated; j <= i; ++j) entries_.push_back(script[j]);
      }
      if (Chance(2)) TrickleIn();
    }
    const size_t queued = std::min<size_t>(script.size() - end, Below(8));
    zombies_.emplace_back(script.begin() + static_cast<ptrdiff_t>(end),
                          script.begin() + static_cast<ptrdiff_t>(end + queued));
  }

  void TrickleIn() {
    if (zombies_.empty()) return;
    const size_t which = Below(static_cast<uint32_t>(zombies_.size()));
    std::vector<std::string>& queue = zombies_[which];
    if (!queue.empty()) {
      entries_.push_back(queue.front());
      queue.erase(queue.begin());
    }
    if (queue.empty()) zombies_.erase(zombies_.begin() + static_cast<ptrdiff_t>(which));
  }

  std::mt19937 random_;
  const uint64_t transactions_;
  std::vector<uint32_t> chunks_;
  std::vector<std::string> entries_;
  std::vector<std::vector<std::string>> zombies_;
};

}  // namespace pgduet
