// Completes updates whose large values did not change: the WAL does not hold them.
//
// From the old row when it has them (REPLICA IDENTITY FULL, key columns), else from the table, once
// the transaction is visible there (it may be decoded before): exact while the row there still
// carries this transaction's commit time (subtransactions share it) and was written here. Otherwise
// the value stays kUnchanged: a later version of the row follows and completes it at every peer.
// One thread; its own connection, opened at need.
#pragma once

#include <memory>
#include <string>

#include "base/pg_connection.h"
#include "capture/local_observer.h"
#include "schemas/change.h"

namespace pgduet {

class UnchangedValues {
 public:
  UnchangedValues(std::string conninfo, std::string set)
      : conninfo_(std::move(conninfo)), set_(std::move(set)) {}
  // Returns how many values stay unavailable.
  // Unavailable: the transaction stays invisible (its session waits for a synchronous standby); try
  // again.
  absl::StatusOr<uint64_t> Complete(const LocalTransaction& transaction, ChangeBatch& batch);

 private:
  absl::Status Connect();
  absl::Status WaitVisible(const LocalTransaction& transaction);
  absl::StatusOr<uint64_t> ReadAgain(const LocalTransaction& transaction, ChangeBatch& batch,
                                     const Change& change);
  const std::string conninfo_;
  const std::string set_;
  std::unique_ptr<PgConnection> connection_;
  Lsn visible_;  // commit position of the transaction last waited for
};

}  // namespace pgduet
