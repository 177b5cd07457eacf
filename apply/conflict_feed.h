// The conflict log for others: each entry of pgduet.conflict is sent once it is committed, in the
// order of ids, at least once.
//
// Ids are given out before their transactions commit. What lies up to the newest id of a moment is
// complete when all that ran at that moment has ended: who writes entries has a transaction id
// before it takes an id. So the place, pgduet.conflict_topic, is one id. One thread, "conflicts".
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "apply/apply_metrics.h"
#include "apply/coverage_history.h"
#include "apply/region_identity.h"
#include "base/pg_connection.h"
#include "transport/kafka_feed.h"

namespace pgduet {

class ConflictFeed {
 public:
  // Returns when all are where they shall be. Called on the feed's thread only. Of a message the
  // key is {"table": ..., "key": ...}, the value the entry as JSON (docs/operations/conflicts.md).
  using Sink = std::function<absl::Status(const std::vector<FeedMessage>&)>;

  ConflictFeed(std::string conninfo, const RegionIdentity& identity, Sink sink,
               ApplyMetrics& metrics);
  ~ConflictFeed() { Stop(); }
  void Start();
  void Stop();

 private:
  void Run(std::stop_token stop);
  absl::Status Open();
  absl::Status Round(const std::stop_token& stop);
  absl::Status LookForEnd();
  absl::StatusOr<bool> EndIsComplete();
  absl::StatusOr<bool> SendPage();
  absl::Status StorePlace(int64_t id);

  const std::string conninfo_;
  const RegionIdentity& identity_;
  const Sink sink_;
  ApplyMetrics& metrics_;
  std::unique_ptr<PgConnection> connection_;
  int64_t place_ = 0;  // sent up to here
  int64_t end_ = 0;    // the newest id when looked at; place_: nothing is to be sent
  // Ids up to end_ were taken by transactions below: when they have ended, everything is there.
  FullXid taken_before_ = 0;
  std::jthread thread_;
};

}  // namespace pgduet
