// A run's history as text: each region's log, its conflict log and what stands, for whoever replays
// a seed.
#pragma once

#include <string>

#include <fmt/format.h>

#include "tests/simulation/simulation.h"

namespace pgduet::simulation {

inline std::string KindName(const WalRecord& record) {
  switch (record.kind) {
    case RecordKind::kLocal:
      return fmt::format("local {}", record.serial);
    case RecordKind::kApplied:
      return "applied";
    case RecordKind::kInternal:
      return fmt::format("internal {}", record.journal_of);
    case RecordKind::kBarrier:
      return "barrier";
    case RecordKind::kAbort:
      return "abort";
  }
  return "?";
}

inline std::string RecordText(const WalRecord& record) {
  std::string text = fmt::format("{} xid {} time {} began {} visible {}", KindName(record),
                                 record.xid, record.time, record.began_at, record.visible_at);
  for (const Serial serial : record.applied) text += fmt::format(" ={}", serial);
  if (record.progress)
    text += fmt::format(" from {} [{}]", record.origin, record.progress->vector.ToString());
  for (const RowWrite& change : record.changes) {
    text += fmt::format(" {}{}", static_cast<char>(change.kind), change.key);
  }
  for (const auto& [key, row] : record.rows) {
    text += fmt::format(" row {}:{}", key, row ? std::to_string(row->writer) : "gone");
  }
  for (const auto& [key, tombstone] : record.tombstones) {
    text += fmt::format(
        " tombstone {}:{}", key,
        tombstone ? fmt::format("{}{}", tombstone->writer, tombstone->unswept ? " unswept" : "")
                  : "gone");
  }
  for (const LogEntry& entry : record.log) {
    text += fmt::format(" log {} {}: remote {} local {} {}{}", ConflictKindName(entry.kind),
                        entry.key, entry.remote, entry.local, DecisionName(entry.decision),
                        entry.ambiguous ? " ambiguous" : "");
  }
  return text;
}

inline std::string HistoryText(const Simulation& simulation) {
  std::string text;
  for (const auto& region : simulation.regions()) {
    text += fmt::format("region {} skew {} history lost {}\n", region->rank, region->skew,
                        region->history_lost);
    size_t lsn = 0;
    for (const WalRecord& record : region->database.wal()) {
      ++lsn;
      if (record.kind == RecordKind::kAbort) continue;
      text += fmt::format("  {:3} {}\n", lsn, RecordText(record));
    }
  }
  return text;
}

}  // namespace pgduet::simulation
