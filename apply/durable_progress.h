// What of the applied transactions a crash of this database cannot take back any more. Apply
// commits asynchronously; the log is told only that much (a slot of `direct` follows it).
//
// One thread, that of the session.
#pragma once

#include <deque>
#include <optional>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "apply/target_session.h"
#include "schemas/lsn.h"

namespace pgduet {

class DurableProgress {
 public:
  struct Place {
    int64_t offset = 0;  // in the log
    Lsn through;         // of the origin
  };

  void Committed(Place place) { unflushed_.push_back({place, Lsn()}); }
  // The newest place that has become durable since the last answer, if there is one. Asks the
  // database ten times a second at most.
  absl::StatusOr<std::optional<Place>> Look(TargetSession& session, absl::Time now);

 private:
  struct Unflushed {
    Place place;
    Lsn written;  // it lies before this place in our WAL; not known before the first look
  };
  std::deque<Unflushed> unflushed_;
  absl::Time looked_at_ = absl::InfinitePast();
};

}  // namespace pgduet
