// One libpq connection, owned. Synchronous calls for control SQL; the raw handle for replication
// and pipelines.
//
// Threads: one at a time. Cancel() alone may be called from another thread.
// Errors: Unavailable when the connection is gone (reconnect), Aborted for deadlock, serialization
// failure and lock timeout (replay the transaction), FailedPrecondition otherwise; SqlState() is
// set when the server spoke. Messages carry the server's primary message only (never DETAIL, which
// can hold row values), no password.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>
#include <libpq-fe.h>

#include "base/sql_schema.h"

namespace pgduet {

struct PgResultDeleter {
  void operator()(PGresult* result) const { PQclear(result); }
};

// A result set as text; borrowed views live as long as the result.
class PgResult {
 public:
  explicit PgResult(PGresult* result) : result_(result) {}
  int rows() const { return PQntuples(result_.get()); }
  int columns() const { return PQnfields(result_.get()); }
  bool IsNull(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
  std::string_view Text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column),
            static_cast<size_t>(PQgetlength(result_.get(), row, column))};
  }
  int64_t Int(int row, int column) const;  // 0 when NULL
  bool Bool(int row, int column) const { return Text(row, column) == "t"; }
  int64_t affected() const;  // rows touched by INSERT, UPDATE, DELETE
  PGresult* raw() const { return result_.get(); }

 private:
  std::unique_ptr<PGresult, PgResultDeleter> result_;
};

class PgConnection {
 public:
  struct Options {
    std::string conninfo;  // keyword/value or URI; the environment (PGPASSFILE, ...) counts too
    std::string application_name;  // shown in pg_stat_activity
    bool replication = false;      // replication=database
    absl::Duration connect_timeout = absl::Seconds(10);
    // Session settings, sent as startup options: {"datestyle", "ISO"}.
    std::vector<std::pair<std::string, std::string>> settings;
    // What a schema that statements name is called in this session.
    SchemaName schema = {};
  };
  // client_encoding is always UTF8; keepalives are on. The failure message has host and database,
  // no password.
  static absl::StatusOr<std::unique_ptr<PgConnection>> Open(const Options& options);
  ~PgConnection();
  PgConnection(const PgConnection&) = delete;
  PgConnection& operator=(const PgConnection&) = delete;

  // One or more statements, text in and out. Returns the last result.
  absl::StatusOr<PgResult> Query(const std::string& sql);
  // One statement with text parameters; nullopt is NULL.
  absl::StatusOr<PgResult> Query(const std::string& sql,
                                 const std::vector<std::optional<std::string>>& parameters);
  // Status of a PGresult from the raw interface. Does not clear it.
  absl::Status StatusOf(const PGresult* result) const;
  // Status of the connection itself: OK, or Unavailable with libpq's message cleaned of secrets.
  absl::Status ConnectionStatus() const;

  // The statement as the server gets it. Query() does it by itself; for the raw interface.
  std::string Worded(const std::string& sql) const {
    return schema_.meant.empty() ? sql : WithSchema(sql, schema_);
  }
  std::string QuoteIdentifier(std::string_view name) const;
  std::string QuoteLiteral(std::string_view text) const;
  int server_version() const { return PQserverVersion(connection_); }
  PGconn* raw() const { return connection_; }
  // Asks the server to end the running statement; safe from any thread.
  void Cancel();

 private:
  PgConnection(PGconn* connection, SchemaName schema);
  const SchemaName schema_;
  PGconn* connection_;
  PGcancel* cancel_;
};

// Session settings under which a value has one text, whatever database and role say: what is read
// here means the same there. And none of theirs makes our statements end or wait in another way.
std::vector<std::pair<std::string, std::string>> PinnedSettings();

// Quotes by doubling, valid for any UTF-8 name without NUL; no connection needed.
std::string QuoteName(std::string_view name);
// A literal, for standard_conforming_strings = on (pinned).
std::string QuoteText(std::string_view text);

}  // namespace pgduet
