#include "apply/batch_collector.h"

#include <algorithm>
#include <utility>

#include <absl/time/clock.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

// A transaction that has waited this long in the queue is a backlog: then it is worth a flush to be
// allowed to batch it.
constexpr absl::Duration kBacklog = absl::Milliseconds(20);

}  // namespace

std::optional<LogPump::Item> BatchCollector::Next(absl::Duration timeout) {
  if (std::optional<LogPump::Item> item = std::exchange(put_back_, std::nullopt)) return item;
  return timeout > absl::ZeroDuration() ? pump_.Pop(timeout) : pump_.TryPop();
}

absl::StatusOr<std::optional<LogPump::Item>> BatchCollector::NextChunk(absl::Duration timeout) {
  std::optional<LogPump::Item> item = Next(timeout);
  if (item && !item->status.ok()) return item->status;
  return item;
}

bool BatchCollector::IsTransaction(const LogPump::Item& item) {
  return item.status.ok() && item.event.kind != StreamEventKind::kHeartbeat &&
         item.event.kind != StreamEventKind::kNotice;
}

// What has just arrived is applied alone, a backlog is batched.
bool BatchCollector::MayJoin(const ApplyBatch& batch, const LogPump::Item& item) {
  const RecordHeader& header = item.event.record.header;
  if (!header.last) return false;
  const CommitTime highest = std::max(batch.highest, header.commit_time);
  if (rule_.Closed(highest)) return true;
  if (highest <= applied_.ClosedTime(own_rank_)) return false;
  waits_for_closed_time_ = true;
  if (absl::Now() - item.read_at > kBacklog) applied_.WantClosedTime();
  return false;
}

bool BatchCollector::IsFull(const ApplyBatch& batch) const {
  if (batch.empty()) return false;
  return batch.large || !batch.joins || batch.units.size() >= limits_.transactions ||
         batch.bytes >= limits_.bytes || !rule_.MayList(batch.rows);
}

bool BatchCollector::Take(LogPump::Item item, ApplyBatch& batch) {
  Record& record = item.event.record;
  const bool joins = rule_.Joins(record.batch);
  if (!batch.empty() && (!joins || !MayJoin(batch, item))) {
    PutBack(std::move(item));
    return false;
  }
  batch.bytes += item.bytes;
  batch.rows += record.batch.changes.size();
  batch.highest = std::max(batch.highest, record.header.commit_time);
  batch.large = !record.header.last;
  batch.joins = joins;
  batch.segments.clear();
  batch.arrivals.push_back({item.event.offset, item.read_at});
  batch.units.push_back({.header = std::move(record.header),
                         .vector = std::move(record.vector),
                         .batch = std::move(record.batch)});
  return true;
}

// Only after a refusal it takes all that comes: the value may have been corrected at its origin
// since, and changes of one row in one batch are applied as their result.
absl::StatusOr<std::optional<LogPump::Item>> BatchCollector::Collect(ApplyBatch& batch,
                                                                     absl::Duration timeout,
                                                                     bool gathers) {
  batch = std::exchange(ahead_, {});
  while (!IsFull(batch)) {
    std::optional<LogPump::Item> item =
        Next(batch.empty() || gathers ? timeout : absl::ZeroDuration());
    if (!item) return std::nullopt;
    const bool heartbeat = item->status.ok() && item->event.kind == StreamEventKind::kHeartbeat;
    if (heartbeat && gathers && !batch.empty()) continue;  // the next one says more
    if (!IsTransaction(*item)) {
      if (batch.empty() && !item->status.ok()) return item->status;
      if (batch.empty()) return item;
      PutBack(*std::move(item));  // what arrived before it is applied first
      return std::nullopt;
    }
    if (item->event.record.header.chunk != 0) {
      return NamedError(absl::StatusCode::kInternal, "chunk_out_of_step",
                        "a chunk came without the beginning of its transaction");
    }
    if (!Take(*std::move(item), batch)) return std::nullopt;
  }
  return std::nullopt;
}

void BatchCollector::CollectAhead() {
  while (!IsFull(ahead_)) {
    std::optional<LogPump::Item> item = Next(absl::ZeroDuration());
    if (!item) return;
    const bool whole = IsTransaction(*item) && item->event.record.header.chunk == 0 &&
                       item->event.record.header.last;
    if (!whole) return PutBack(*std::move(item));
    if (!Take(*std::move(item), ahead_)) return;
  }
  if (!ahead_.segments.empty()) return;
  // An error of it comes again when it is the batch's turn.
  absl::StatusOr<std::vector<Segment>> segments =
      GroupChanges(ahead_.units, catalog_, Grouping::kByKey);
  if (segments.ok()) ahead_.segments = *std::move(segments);
}

}  // namespace pgduet
