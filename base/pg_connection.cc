#include "base/pg_connection.h"

#include <cstdlib>

#include <fmt/format.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

// libpq's messages name host and database, never the password; line breaks would break log lines.
std::string OneLine(std::string_view text) {
  std::string line;
  for (const char character : text) {
    if (character != '\n') {
      line.push_back(character);
    } else if (!line.empty() && line.back() != ' ') {
      line.push_back(' ');
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line;
}

absl::StatusCode CodeOf(std::string_view sqlstate) {
  if (sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03")
    return absl::StatusCode::kAborted;
  if (sqlstate.starts_with("08") || sqlstate.starts_with("57P"))
    return absl::StatusCode::kUnavailable;
  if (sqlstate == "53300") return absl::StatusCode::kUnavailable;  // too many connections
  if (sqlstate == "57014") return absl::StatusCode::kCancelled;
  return absl::StatusCode::kFailedPrecondition;
}

std::string_view NameOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kAborted:
      return "transaction_conflict";
    case absl::StatusCode::kUnavailable:
      return "database_unavailable";
    case absl::StatusCode::kCancelled:
      return "cancelled";
    default:
      return "database_error";
  }
}

std::string Settings(const PgConnection::Options& options) {
  std::string settings;
  for (const auto& [name, value] : options.settings) {
    std::string escaped;
    for (const char character : value) {
      if (character == ' ' || character == '\\') escaped.push_back('\\');
      escaped.push_back(character);
    }
    settings += fmt::format("{}-c {}={}", settings.empty() ? "" : " ", name, escaped);
  }
  return settings;
}

}  // namespace

int64_t PgResult::Int(int row, int column) const {
  return IsNull(row, column) ? 0
                             : std::strtoll(PQgetvalue(result_.get(), row, column), nullptr, 10);
}

int64_t PgResult::affected() const { return std::strtoll(PQcmdTuples(result_.get()), nullptr, 10); }

PgConnection::PgConnection(PGconn* connection, SchemaName schema)
    : schema_(std::move(schema)), connection_(connection), cancel_(PQgetCancel(connection)) {}

PgConnection::~PgConnection() {
  if (cancel_ != nullptr) PQfreeCancel(cancel_);
  PQfinish(connection_);
}

absl::StatusOr<std::unique_ptr<PgConnection>> PgConnection::Open(const Options& options) {
  const std::string timeout =
      std::to_string(std::max<int64_t>(2, absl::ToInt64Seconds(options.connect_timeout)));
  const std::string settings = Settings(options);
  std::vector<const char*> keywords = {
      "dbname",          "fallback_application_name", "client_encoding", "connect_timeout",
      "keepalives_idle", "keepalives_interval",       "keepalives_count"};
  // Behind an expanded dbname the last of two equal keywords counts, so what the user says there
  // stands first.
  std::vector<const char*> values = {options.conninfo.c_str(),
                                     options.application_name.c_str(),
                                     "UTF8",
                                     timeout.c_str(),
                                     "15",
                                     "5",
                                     "3"};
  if (!settings.empty()) {
    keywords.push_back("options");
    values.push_back(settings.c_str());
  }
  if (options.replication) {
    keywords.push_back("replication");
    values.push_back("database");
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  auto connection = std::unique_ptr<PgConnection>(new PgConnection(
      PQconnectdbParams(keywords.data(), values.data(), /*expand_dbname=*/1), options.schema));
  if (connection->raw() == nullptr)
    return absl::ResourceExhaustedError("out of memory for a connection");
  if (PQstatus(connection->raw()) != CONNECTION_OK) {
    return NamedError(absl::StatusCode::kUnavailable, "database_unavailable",
                      fmt::format("cannot connect to the database: {}",
                                  OneLine(PQerrorMessage(connection->raw()))),
                      "Check that the server runs and that the conninfo of the region is right.");
  }
  PQsetNoticeProcessor(
      connection->raw(), [](void*, const char*) {}, nullptr);
  return connection;
}

absl::StatusOr<PgResult> PgConnection::Query(const std::string& sql) {
  PgResult result(PQexec(connection_, Worded(sql).c_str()));
  PGDUET_RETURN_IF_ERROR(StatusOf(result.raw()));
  return result;
}

absl::StatusOr<PgResult> PgConnection::Query(
    const std::string& sql, const std::vector<std::optional<std::string>>& parameters) {
  std::vector<const char*> values;
  for (const auto& parameter : parameters)
    values.push_back(parameter ? parameter->c_str() : nullptr);
  PgResult result(PQexecParams(connection_, Worded(sql).c_str(), static_cast<int>(values.size()),
                               nullptr, values.data(), nullptr, nullptr, 0));
  PGDUET_RETURN_IF_ERROR(StatusOf(result.raw()));
  return result;
}

absl::Status PgConnection::StatusOf(const PGresult* result) const {
  switch (PQresultStatus(result)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_SINGLE_TUPLE:
    case PGRES_COPY_BOTH:
    case PGRES_COPY_IN:
    case PGRES_COPY_OUT:
    case PGRES_PIPELINE_SYNC:
    case PGRES_PIPELINE_ABORTED:
      return absl::OkStatus();
    default:
      break;
  }
  const char* sqlstate = result == nullptr ? nullptr : PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate == nullptr) {
    if (absl::Status lost = ConnectionStatus(); !lost.ok()) return lost;
    return NamedError(
        absl::StatusCode::kUnavailable, "database_unavailable",
        result == nullptr ? "no answer from the database" : OneLine(PQresultErrorMessage(result)));
  }
  const absl::StatusCode code = CodeOf(sqlstate);
  // The primary message of these classes can quote a value of the row ("invalid input syntax for
  // type integer: ...").
  const std::string_view state = sqlstate;
  const bool quotes_values =
      state.starts_with("22") || state.starts_with("23") || state.starts_with("P0");
  const char* table = PQresultErrorField(result, PG_DIAG_TABLE_NAME);
  const char* constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
  const char* column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
  std::string what = quotes_values
                         ? fmt::format("the database refused a value: sqlstate={}", state)
                         : fmt::format("{}: sqlstate={}",
                                       PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY), state);
  if (table != nullptr) what += fmt::format(" table={}", table);
  if (column != nullptr) what += fmt::format(" column={}", column);
  if (constraint != nullptr) what += fmt::format(" constraint={}", constraint);
  absl::Status status = NamedError(code, NameOf(code), OneLine(what));
  SetSqlState(status, state);
  return status;
}

absl::Status PgConnection::ConnectionStatus() const {
  if (PQstatus(connection_) == CONNECTION_OK) return absl::OkStatus();
  return NamedError(
      absl::StatusCode::kUnavailable, "database_unavailable",
      fmt::format("connection to the database was lost: {}", OneLine(PQerrorMessage(connection_))));
}

std::vector<std::pair<std::string, std::string>> PinnedSettings() {
  return {{"search_path", "pg_catalog"},
          {"datestyle", "ISO, YMD"},
          {"intervalstyle", "postgres"},
          {"timezone", "UTC"},
          {"bytea_output", "hex"},
          {"extra_float_digits", "3"},
          {"xmloption", "content"},
          {"lc_monetary", "C"},
          {"array_nulls", "on"},
          {"standard_conforming_strings", "on"},
          {"quote_all_identifiers", "off"},
          {"default_transaction_isolation", "read committed"},
          {"lock_timeout", "0"},
          {"default_transaction_read_only", "off"},
          {"statement_timeout", "0"},
          {"idle_in_transaction_session_timeout", "0"},
          {"row_security", "off"}};
}

std::string PgConnection::QuoteIdentifier(std::string_view name) const { return QuoteName(name); }

std::string PgConnection::QuoteLiteral(std::string_view text) const {
  std::unique_ptr<char, void (*)(void*)> quoted(
      PQescapeLiteral(connection_, text.data(), text.size()), PQfreemem);
  return quoted ? std::string(quoted.get()) : std::string("NULL");
}

void PgConnection::Cancel() {
  char error[256];
  if (cancel_ != nullptr) (void)PQcancel(cancel_, error, sizeof error);
}

std::string QuoteName(std::string_view name) {
  std::string quoted = "\"";
  for (const char character : name) {
    if (character == '"') quoted.push_back('"');
    quoted.push_back(character);
  }
  quoted.push_back('"');
  return quoted;
}

std::string QuoteText(std::string_view text) {
  std::string quoted = "'";
  for (const char character : text) {
    if (character == '\'') quoted.push_back('\'');
    quoted.push_back(character);
  }
  quoted.push_back('\'');
  return quoted;
}

}  // namespace pgduet
