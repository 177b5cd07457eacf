#include "apply/conflict_feed.h"

#include <absl/time/clock.h>

#include "base/backoff.h"
#include "base/log.h"
#include "base/named_error.h"
#include "base/thread_name.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

constexpr absl::Duration kRound = absl::Milliseconds(200);
constexpr int kEntriesOfAPage = 200;

// What people did with an entry comes later, and is not told.
constexpr char kReadSql[] =
    "SELECT c.id, jsonb_build_object('table', c.table_schema || '.' || c.table_name, 'key', "
    "c.key)::text, (jsonb_build_object('region', $3::text) || to_jsonb(c) - 'key_digest' - 'xid' - "
    "'note' - 'dismissed_at' - 'dismissed_by' - 'undone_at' - 'undone_by')::text "
    "FROM pgduet.conflict c WHERE c.id > $1::bigint AND c.id <= $2::bigint ORDER BY c.id LIMIT "
    "$4::int";

}  // namespace

ConflictFeed::ConflictFeed(std::string conninfo, const RegionIdentity& identity, Sink sink,
                           ApplyMetrics& metrics)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      sink_(std::move(sink)),
      metrics_(metrics) {}

void ConflictFeed::Start() {
  thread_ = std::jthread([this](std::stop_token stop) { Run(std::move(stop)); });
}

void ConflictFeed::Stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void ConflictFeed::Run(std::stop_token stop) {
  NameThisThread("conflicts");
  Backoff backoff;
  while (SleepFor(kRound, stop)) {
    const absl::Status status = Round(stop);
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    connection_.reset();
    LogWarning("conflicts", "the conflict log's topic is behind", status);
    SleepFor(backoff.Next(), stop);
  }
}

absl::Status ConflictFeed::Open() {
  if (connection_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(connection_,
                          PgConnection::Open(SetSession(conninfo_, identity_.set, "conflicts")));
  PGDUET_ASSIGN_OR_RETURN(const PgResult place,
                          connection_->Query("SELECT id FROM pgduet.conflict_topic"));
  place_ = end_ = place.rows() == 0 ? 0 : place.Int(0, 0);
  return absl::OkStatus();
}

absl::Status ConflictFeed::Round(const std::stop_token& stop) {
  PGDUET_RETURN_IF_ERROR(Open());
  if (end_ == place_) PGDUET_RETURN_IF_ERROR(LookForEnd());
  metrics_.ConflictTopicBehind(end_ - place_);
  if (end_ == place_) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const bool complete, EndIsComplete());
  bool more = complete;
  while (more && !stop.stop_requested()) {
    PGDUET_ASSIGN_OR_RETURN(more, SendPage());
    metrics_.ConflictTopicBehind(end_ - place_);
  }
  return absl::OkStatus();
}

// The id first: whoever took one up to it has a transaction id below ours. (A snapshot's end would
// not do: it is the newest *ended* transaction's, docs/decisions/0002.)
absl::Status ConflictFeed::LookForEnd() {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult newest,
      connection_->Query("SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM "
                         "pgduet.conflict_id_seq"));
  end_ = newest.Int(0, 0);
  // TRUNCATE ... RESTART IDENTITY: ids begin anew.
  if (end_ < place_) PGDUET_RETURN_IF_ERROR(StorePlace(0));
  if (end_ == place_) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(const PgResult own,
                          connection_->Query("SELECT pg_current_xact_id()::text"));
  taken_before_ = static_cast<FullXid>(own.Int(0, 0));
  return absl::OkStatus();
}

absl::StatusOr<bool> ConflictFeed::EndIsComplete() {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult oldest,
      connection_->Query("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"));
  return static_cast<FullXid>(oldest.Int(0, 0)) > taken_before_;
}

// False: everything up to the end is sent.
absl::StatusOr<bool> ConflictFeed::SendPage() {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection_->Query(kReadSql, {std::to_string(place_), std::to_string(end_), identity_.name(),
                                    std::to_string(kEntriesOfAPage)}));
  std::vector<FeedMessage> entries;
  for (int row = 0; row < rows.rows(); ++row)
    entries.push_back({std::string(rows.Text(row, 1)), std::string(rows.Text(row, 2))});
  if (!entries.empty()) PGDUET_RETURN_IF_ERROR(sink_(entries));
  const bool more = rows.rows() == kEntriesOfAPage;
  PGDUET_RETURN_IF_ERROR(StorePlace(more ? rows.Int(rows.rows() - 1, 0) : end_));
  return more;
}

absl::Status ConflictFeed::StorePlace(int64_t id) {
  PGDUET_RETURN_IF_ERROR(
      connection_
          ->Query("INSERT INTO pgduet.conflict_topic (id) VALUES ($1::bigint) ON CONFLICT "
                  "(singleton) DO UPDATE SET id = excluded.id",
                  {std::to_string(id)})
          .status());
  place_ = id;
  return absl::OkStatus();
}

}  // namespace pgduet
