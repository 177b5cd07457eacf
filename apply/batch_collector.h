// Collects what has arrived from one origin into batches that share an apply transaction, also
// ahead: the next one while the server works on the one before.
//
// A batch never waits to fill. What is collected ahead is judged by the same rule, and what the
// rule asks for (BatchRule) stays true once it is. One thread: the session's.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/batch_rule.h"
#include "apply/change_groups.h"
#include "apply/log_pump.h"

namespace pgduet {

// Complete transactions, in order; or the first chunk of one large transaction.
struct ApplyBatch {
  struct Arrival {
    int64_t offset = 0;
    absl::Time read_at;
  };
  std::vector<ApplyUnit> units;
  std::vector<Arrival> arrivals;  // of each unit
  // Grouped by key ahead of time; views into the units. Empty: not grouped.
  std::vector<Segment> segments;
  CommitTime highest = kOldestTime;  // times can run backwards against the order of the commits
  size_t bytes = 0;
  size_t rows = 0;
  bool large = false;  // a first chunk
  bool joins = false;  // the last one may be one of several
  bool empty() const { return units.empty(); }
};

class BatchCollector {
 public:
  struct Limits {
    size_t transactions = 0;
    size_t bytes = 0;
  };
  // All must outlive it.
  BatchCollector(LogPump& pump, const BatchRule& rule, AppliedState& applied, Rank own_rank,
                 TableLookup& catalog, Limits limits)
      : pump_(pump),
        rule_(rule),
        applied_(applied),
        own_rank_(own_rank),
        catalog_(catalog),
        limits_(limits) {}

  // Fills the empty batch, waiting for its first transaction up to `timeout`; or gives a heartbeat
  // or a notice, with the batch left empty. `gathers`: waits for each further one, too, until
  // nothing comes. An error is what ended the log, once all before it was given.
  absl::StatusOr<std::optional<LogPump::Item>> Collect(ApplyBatch& batch, absl::Duration timeout,
                                                       bool gathers);
  // Begins the next batch with what is here by now. Never waits.
  void CollectAhead();
  // A further chunk of a large transaction, or whatever comes in its place (then PutBack).
  absl::StatusOr<std::optional<LogPump::Item>> NextChunk(absl::Duration timeout);
  void PutBack(LogPump::Item item) { put_back_ = std::move(item); }
  // Whether a transaction had to be left out since the last call, because our own time is not
  // closed up to its.
  bool TakeWaitsForClosedTime() { return std::exchange(waits_for_closed_time_, false); }
  bool HasMore() const { return put_back_.has_value() || pump_.queued_bytes() > 0; }

 private:
  std::optional<LogPump::Item> Next(absl::Duration timeout);
  static bool IsTransaction(const LogPump::Item& item);
  bool MayJoin(const ApplyBatch& batch, const LogPump::Item& item);
  bool IsFull(const ApplyBatch& batch) const;
  // False: the item does not belong to the batch and was put back.
  bool Take(LogPump::Item item, ApplyBatch& batch);

  LogPump& pump_;
  const BatchRule& rule_;
  AppliedState& applied_;
  const Rank own_rank_;
  TableLookup& catalog_;
  const Limits limits_;
  std::optional<LogPump::Item> put_back_;  // comes after what is ahead
  ApplyBatch ahead_;
  bool waits_for_closed_time_ = false;
};

}  // namespace pgduet
