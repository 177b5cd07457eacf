#include "apply/pg_pipeline.h"

#include <iterator>

#include <fmt/format.h>
#include <poll.h>

#include "base/named_error.h"

namespace pgduet {

absl::StatusOr<PgPipeline> PgPipeline::Create(PgConnection& connection) {
  // Blocking: libpq reads while it cannot send, so nobody waits for the other, and a large
  // statement goes out in one pass. Non-blocking sends move what is left of the buffer to its front
  // each time: quadratic in the size of a value.
  if (PQenterPipelineMode(connection.raw()) != 1) {
    return WithContext(connection.ConnectionStatus(), "enter pipeline mode");
  }
  return PgPipeline(connection);
}

absl::StatusOr<size_t> PgPipeline::Add(const std::string& sql,
                                       const std::vector<PgParameter>& parameters,
                                       const std::vector<Oid>& types) {
  PGconn* raw = connection_->raw();
  // The same text with other types is another statement: the conflict log's names columns, not
  // tables.
  std::string key = sql;
  for (const Oid type : types) fmt::format_to(std::back_inserter(key), ",{}", type);
  auto [at, fresh] = prepared_.try_emplace(key);
  if (fresh) {
    at->second = fmt::format("pgduet_{}", next_name_++);
    prepared_since_run_.push_back(std::move(key));
    if (PQsendPrepare(raw, at->second.c_str(), connection_->Worded(sql).c_str(),
                      static_cast<int>(types.size()),
                      types.empty() ? nullptr : types.data()) != 1) {
      return connection_->ConnectionStatus();
    }
    queued_.push_back(Answer::kPrepare);
  }
  std::vector<const char*> values;
  values.reserve(parameters.size());
  for (const PgParameter& parameter : parameters) values.push_back(parameter.c_str());
  if (PQsendQueryPrepared(raw, at->second.c_str(), static_cast<int>(values.size()), values.data(),
                          nullptr, nullptr, 0) != 1) {
    return connection_->ConnectionStatus();
  }
  queued_.push_back(Answer::kExecute);
  return executes_++;
}

absl::Status PgPipeline::WaitForInput() {
  pollfd descriptor{.fd = PQsocket(connection_->raw()), .events = POLLIN, .revents = 0};
  // Bounded only by the server's own timeouts and TCP keepalives: a long statement is not an error.
  if (poll(&descriptor, 1, 1000) < 0 && errno != EINTR) return connection_->ConnectionStatus();
  if (descriptor.revents != 0 && PQconsumeInput(connection_->raw()) != 1) {
    return connection_->ConnectionStatus();
  }
  return absl::OkStatus();
}

absl::StatusOr<PGresult*> PgPipeline::NextResult() {
  PGconn* raw = connection_->raw();
  while (PQisBusy(raw) != 0) PGDUET_RETURN_IF_ERROR(WaitForInput());
  return PQgetResult(raw);
}

absl::StatusOr<std::vector<PgResult>> PgPipeline::Run(const std::function<void()>* meanwhile) {
  PGconn* raw = connection_->raw();
  if (PQpipelineSync(raw) != 1) return connection_->ConnectionStatus();
  if (PQflush(raw) != 0) return connection_->ConnectionStatus();
  if (meanwhile != nullptr) (*meanwhile)();

  const std::vector<Answer> expected = std::exchange(queued_, {});
  const std::vector<std::string> prepared_now = std::exchange(prepared_since_run_, {});
  const auto watches = std::exchange(watches_, {});
  std::vector<PgResult> results;
  results.reserve(std::exchange(executes_, 0));
  absl::Status first_error;
  for (const Answer answer : expected) {
    PGDUET_ASSIGN_OR_RETURN(PGresult * raw_result, NextResult());
    if (raw_result == nullptr) {
      if (absl::Status lost = connection_->ConnectionStatus(); !lost.ok()) return lost;
      return NamedError(absl::StatusCode::kInternal, "pipeline_out_of_step",
                        "pipeline out of step: an answer is missing");
    }
    PgResult result(raw_result);
    if (first_error.ok()) first_error = connection_->StatusOf(result.raw());
    if (answer == Answer::kExecute) results.push_back(std::move(result));
    PGDUET_ASSIGN_OR_RETURN(PGresult * separator, NextResult());
    if (separator != nullptr) PQclear(separator);
    if (PQstatus(raw) == CONNECTION_BAD) return connection_->ConnectionStatus();
  }
  PGDUET_ASSIGN_OR_RETURN(PGresult * sync, NextResult());
  const bool in_step = sync != nullptr && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
  if (sync != nullptr) PQclear(sync);
  if (!in_step) {
    if (absl::Status lost = connection_->ConnectionStatus(); !lost.ok()) return lost;
    return NamedError(absl::StatusCode::kInternal, "pipeline_out_of_step",
                      "pipeline out of step: the sync answer is missing");
  }
  if (!first_error.ok()) {
    // What was to be prepared in this run may not be.
    for (const std::string& key : prepared_now) prepared_.erase(key);
    return first_error;
  }
  for (const auto& [place, answered] : watches) answered(results[place]);
  return results;
}

absl::StatusOr<int64_t> PgPipeline::CopyIn(const std::string& sql,
                                           const std::function<bool(std::string& piece)>& next) {
  PGconn* raw = connection_->raw();
  if (!queued_.empty() || PQexitPipelineMode(raw) != 1) {
    return NamedError(absl::StatusCode::kInternal, "pipeline_out_of_step",
                      "COPY was asked for while statements were queued");
  }
  absl::Status status;
  int64_t rows = 0;
  if (PQsendQuery(raw, sql.c_str()) != 1) status = connection_->ConnectionStatus();
  // The first answer invites the data; the second one tells what became of it. An error of the
  // server comes as either.
  for (PgResult result(PQgetResult(raw)); result.raw() != nullptr;
       result = PgResult(PQgetResult(raw))) {
    if (PQresultStatus(result.raw()) == PGRES_COPY_IN) {
      status.Update(SendCopy(next));
      if (PQstatus(raw) == CONNECTION_BAD) break;
      continue;
    }
    status.Update(connection_->StatusOf(result.raw()));
    rows = result.affected();
  }
  if (absl::Status lost = connection_->ConnectionStatus(); !lost.ok()) return lost;
  if (PQenterPipelineMode(raw) != 1)
    return WithContext(connection_->ConnectionStatus(), "enter pipeline mode");
  if (!status.ok()) return status;
  return rows;
}

absl::Status PgPipeline::SendCopy(const std::function<bool(std::string& piece)>& next) {
  PGconn* raw = connection_->raw();
  std::string piece;
  for (bool more = true; more;) {
    piece.clear();
    more = next(piece);
    if (!piece.empty() && PQputCopyData(raw, piece.data(), static_cast<int>(piece.size())) != 1)
      return connection_->ConnectionStatus();
  }
  return PQputCopyEnd(raw, nullptr) == 1 ? absl::OkStatus() : connection_->ConnectionStatus();
}

}  // namespace pgduet
