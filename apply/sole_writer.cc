#include "apply/sole_writer.h"

#include <string>

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <xxhash.h>

#include "base/log.h"
#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr uint32_t kMainLockClass = 0x70676474;  // "pgdt"
constexpr absl::Duration kPatience = absl::Seconds(10);
constexpr absl::Duration kPause = absl::Milliseconds(10);

std::string LockClass(std::string_view set) { return std::to_string(LockClassOf(set)); }

std::string LockNumber(uint64_t writer_epoch) { return std::to_string(writer_epoch % 0x7FFFFFFF); }

}  // namespace

uint32_t LockClassOf(std::string_view set) {
  if (set == kMainSet) return kMainLockClass;
  return static_cast<uint32_t>(XXH3_64bits(set.data(), set.size()) % 0x7FFFFFFF);
}

absl::Status MarkAsWriter(PgConnection& connection, std::string_view set, uint64_t writer_epoch) {
  return connection
      .Query("SELECT pg_catalog.pg_advisory_lock_shared($1::int, $2::int)",
             {LockClass(set), LockNumber(writer_epoch)})
      .status();
}

absl::Status EndOtherWriters(PgConnection& connection, std::string_view set,
                             uint64_t writer_epoch) {
  const absl::Time deadline = absl::Now() + kPatience;
  for (bool first = true;; first = false) {
    PGDUET_ASSIGN_OR_RETURN(
        const PgResult others,
        connection.Query(
            "SELECT count(pg_catalog.pg_terminate_backend(pid)) FROM pg_catalog.pg_locks WHERE "
            "locktype = 'advisory' AND objsubid = 2 AND classid = $1::oid AND objid <> $2::oid AND "
            "database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = "
            "current_database())",
            {LockClass(set), LockNumber(writer_epoch)}));
    const int64_t left = others.Int(0, 0);
    if (left == 0) return absl::OkStatus();
    if (first)
      LogInfo("agent", "sessions of another run are ended", {{"sessions", std::to_string(left)}});
    if (absl::Now() > deadline) {
      return NamedError(
          absl::StatusCode::kUnavailable, "former_agent",
          fmt::format("sessions of another agent of this region do not end: {}", left),
          "Stop the other agent; the agent tries again by itself.");
    }
    absl::SleepFor(kPause);
  }
}

}  // namespace pgduet
