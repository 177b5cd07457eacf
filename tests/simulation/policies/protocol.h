// What a run is made of: the parts of the protocol, each of which can be left out (a planted
// fault), and what a run may meet.
#pragma once

#include "tests/simulation/settings.h"

namespace pgduet::policy_simulation {

using simulation::Aborted;
using simulation::Dice;
using simulation::Violation;

// The protocol of apply/policy_*. A part that is switched off is a fault.
struct Protocol {
  // The journal: what capture does with a local transaction.
  bool journal_first = true;    // published when it is journaled, not before
  bool journal_once = true;     // a restart does not journal again
  bool journal_shows = true;    // writes the merged row when something had come in between
  bool journal_own_row = true;  // but only over the very row of that transaction
  bool journal_sees = true;     // waits until the transaction can be seen
  bool vector_from_wal = true;  // else what is applied when the record is published
  // The applier.
  bool causal_hold = true;
  bool clock_wait = true;
  bool writer_decoded = true;  // waits for local transactions whose rows it meets
  // The key of a missing row is claimed (by inserting the row that the change carries) before the
  // barrier, so that no local insert comes in between: a local write has seen what its vector says.
  // Deletes that carry the key alone cannot.
  bool claims_keys = true;
  bool barrier = true;        // before a missing row is believed
  bool missing_again = true;  // looks again once the states are locked
  bool state_lock = true;
  bool drop_duplicates = true;
  // What is let go.
  bool stability = true;          // else by clock
  bool decoded_condition = true;  // the housekeeper waits for capture
  bool decoded_stable = true;     // what `stable` says holds for local writes to come, too
  bool applied_known = true;      // a peer's vector counts when all before it is applied
  bool siblings_stay = true;
  bool settled = true;  // what a deleted row's counter holds stays
};

struct Scope {
  int regions_max = 5;
  int tables_max = 4;
  int keys_max = 2;
  int transactions_max = 14;  // of each region
  int idle_max = 150;         // steps of a client between two of them
  int rows_max = 3;           // of a transaction
  int crash_permille = 1;     // of turns
  int delete_percent = 30;    // of writes that meet a row
  int late_percent = 15;      // of commits between the record and being visible
  int late_max = 40;          // steps
  int lag_percent = 4;        // of turns of a capture after which it sleeps
  int lag_max = 250;          // steps
  int tick_percent = 30;
  int merge_percent = 50;         // of the tables
  int key_identity_percent = 50;  // of the tables that do not merge: deletes carry the key alone
};

}  // namespace pgduet::policy_simulation
