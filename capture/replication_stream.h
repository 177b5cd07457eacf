// The replication connection: START_REPLICATION over libpq, frames in, feedback out.
//
// Next() returns what has arrived, and reads everything that is there before it polls. The server
// sends each row by itself: while it has much to say we sleep a little and take what has come, or
// the two would wake each other for every row. Values are text under pinned settings. Threads: one.
// Errors: Unavailable when the connection is gone; slot_missing, slot_active, slot_invalidated.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/pg_connection.h"
#include "schemas/lsn.h"

namespace pgduet {

struct SystemIdentity {
  std::string system_identifier;
  int timeline = 0;
};

class ReplicationStream {
 public:
  struct Options {
    std::string conninfo;
    std::string slot;
    std::string publication;
    std::string application_name = "pgduet capture";
  };
  static absl::StatusOr<std::unique_ptr<ReplicationStream>> Connect(const Options& options);

  absl::StatusOr<SystemIdentity> Identify();
  // Where the timeline left its parent (the switch point), from the server's history file; 0/0 for
  // timeline 1.
  absl::StatusOr<Lsn> SwitchPoint(int timeline, int left_timeline);
  absl::Status Start(Lsn from);

  struct Frame {
    bool keepalive = false;
    bool reply_requested = false;
    Lsn wal_end;
    std::string_view payload;  // valid until the next call
  };
  // Nothing when no frame is complete within the time.
  absl::StatusOr<std::optional<Frame>> Next(absl::Duration timeout);
  // Confirms everything before `flushed`.
  absl::Status SendFeedback(Lsn flushed);
  void Cancel() { connection_->Cancel(); }

 private:
  ReplicationStream(Options options, std::unique_ptr<PgConnection> connection)
      : options_(std::move(options)), connection_(std::move(connection)) {}
  absl::StatusOr<std::optional<Frame>> Buffered();
  absl::Status Await(absl::Duration timeout);
  absl::StatusOr<std::optional<Frame>> ParseFrame(std::string_view bytes) const;
  absl::Status EndOfStream();

  Options options_;
  std::unique_ptr<PgConnection> connection_;
  char* buffer_ = nullptr;  // of the last frame, freed by the next call
  int short_waits_ = 0;     // in a row

 public:
  ~ReplicationStream();
};

}  // namespace pgduet
