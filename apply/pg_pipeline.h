// Statements of one connection in libpq's pipeline mode: queued without waiting, prepared once,
// answered together.
//
// Threads: one. The connection stays in pipeline mode for its life. Run() reads while it writes, so
// that neither side's socket buffer can block the other. After an error the statements up to the
// sync point were skipped by the server; Run() has drained them and the caller rolls back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "base/pg_connection.h"

namespace pgduet {

// One text parameter; the bytes need to live until Add returns.
class PgParameter {
 public:
  PgParameter() = default;                                   // NULL
  PgParameter(std::string text) : text_(std::move(text)) {}  // NOLINT(google-explicit-constructor)
  static PgParameter Null() { return {}; }
  const char* c_str() const { return text_ ? text_->c_str() : nullptr; }

 private:
  std::optional<std::string> text_;
};

class PgPipeline {
 public:
  // Enters pipeline mode. `connection` outlives this.
  static absl::StatusOr<PgPipeline> Create(PgConnection& connection);

  // Queues one statement; it is prepared at its first use (parameter types: 0 lets the server
  // infer). Returns the index of its result in what the next Run() gives.
  absl::StatusOr<size_t> Add(const std::string& sql, const std::vector<PgParameter>& parameters,
                             const std::vector<Oid>& types = {});

  // Calls `answered` with the result of the statement that was added last, when the next Run() has
  // it and no statement failed. What it refers to lives until then.
  void Watch(std::function<void(const PgResult&)> answered) {
    watches_.emplace_back(executes_ - 1, std::move(answered));
  }

  // Sends what is queued, with a sync point, and waits for all answers. One result for each Add
  // since the last Run. An error is the first one that the server raised. `meanwhile` is called
  // once all is sent, while the server works; null: nothing.
  absl::StatusOr<std::vector<PgResult>> Run(const std::function<void()>* meanwhile = nullptr);

  // One COPY ... FROM STDIN, which is not allowed in pipeline mode: leaves it, and enters it again.
  // Nothing may be queued. `next` puts the next piece of COPY's text format into the buffer (its
  // content is sent and replaced); false: that was all. Returns the number of rows.
  absl::StatusOr<int64_t> CopyIn(const std::string& sql,
                                 const std::function<bool(std::string& piece)>& next);

  // Statements since the last Run; the newest one's result has this index less one.
  size_t executed() const { return executes_; }
  // Statements are known by their text and types; a target table that changed needs fresh ones.
  void ForgetPlans() { prepared_.clear(); }

 private:
  enum class Answer : uint8_t { kPrepare, kExecute };
  explicit PgPipeline(PgConnection& connection) : connection_(&connection) {}
  absl::Status SendCopy(const std::function<bool(std::string& piece)>& next);
  absl::Status WaitForInput();
  absl::StatusOr<PGresult*> NextResult();

  PgConnection* connection_;
  absl::flat_hash_map<std::string, std::string> prepared_;
  std::vector<std::string> prepared_since_run_;
  std::vector<Answer> queued_;
  size_t executes_ = 0;
  std::vector<std::pair<size_t, std::function<void(const PgResult&)>>> watches_;
  uint64_t next_name_ = 0;
};

}  // namespace pgduet
