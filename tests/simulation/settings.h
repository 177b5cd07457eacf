// What a run is made of: the parts of the protocol that can be left out (planted faults), and the
// dice.
#pragma once

#include <cstdint>
#include <random>
#include <stdexcept>

namespace pgduet::simulation {

// The protocol of docs/decisions/0001 and 0002. Each part that is switched off is a fault that a
// run must find.
struct Protocol {
  // 0001
  bool by_version = true;       // else by arrival
  bool journal_replays = true;  // local deletes are replayed by version
  bool clock_wait = true;
  bool causal_hold = true;
  bool stability = true;            // else tombstones go by clock
  bool registration_check = true;   // the last step before an apply transaction commits
  bool coverage_by_horizon = true;  // else by commit time
  bool vector_from_wal = true;      // else what is in effect when the record is published
  bool barrier = true;              // before a missing row is believed
  bool confirm_published = true;    // the slot moves only over what the topic's last vector holds
  // 0002
  bool sweep = true;               // A, C: remote deletes are replayed later
  bool batch_closed = true;        // G: what is batched is closed here
  bool batch_highest_time = true;  // G: stamp and clock wait of a batch
  bool stream_order = true;        // G: one origin's rows are in order, whatever their stamps
  bool sweep_hits = true;          // A: also those that removed a row, in groups of three and more
  bool pending_first = true;       // B
  bool closed_time = true;         // C: stability knows stragglers
  bool flush_before_load = true;   // D: what a new run reads may be lost yet
  bool samples_flushed = true;     // D: a sample counts once it cannot be lost
  bool memory_set_back = true;     // D: on reconnection, for all origins
  bool removal_flushed = true;     // D: a removed tombstone may come back
  bool replay_checks_vector = true;  // E: no log entry where the row had seen the delete
  bool time_lookup_bounded = true;   // E: rows of subtransactions
  bool own_tombstones =
      true;  // F: a tombstone of the same transaction does not stop its later insert
  // 0008
  bool batch_peers_closed = true;  // what is batched is closed in every other stream, too
  bool batch_exact = true;         // which of its transactions wrote a row is written down
};

// What a run is allowed to meet.
struct Scope {
  int regions_min = 2;
  int regions_max = 4;
  int keys_max = 4;
  int clients_max = 2;
  int turns_max = 6'000;       // short runs: a fault is not covered by later writes
  int crash_interval = 3'000;  // turns; 0: none
  int tick_percent = 30;       // of turns after which time has passed; few: equal commit times
  int subtransaction_percent = 20;
  int preempted_percent = 8;    // of commits between taking the time and writing the record
  int late_percent = 8;         // of commits between the record's flush and being visible
  int flush_pause_max = 30;     // steps of the WAL writer
  int crash_again_percent = 0;  // of agents' crashes: the database follows soon
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  uint64_t Below(uint64_t count) { return random_() % count; }
  int Between(int low, int high) { return low + static_cast<int>(Below(high - low + 1)); }
  bool Percent(int chance) { return Below(100) < static_cast<uint64_t>(chance); }
  bool Permille(int chance) { return Below(1000) < static_cast<uint64_t>(chance); }

 private:
  std::mt19937_64 random_;
};

// The transaction is rolled back (deadlock, lock timeout, chance) and may be tried again.
struct Aborted {};

// The simulation itself found something impossible.
struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace pgduet::simulation
