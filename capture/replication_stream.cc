#include "capture/replication_stream.h"

#include <absl/time/clock.h>
#include <fmt/format.h>
#include <poll.h>

#include "base/named_error.h"
#include "capture/pgoutput_decoder.h"

namespace pgduet {
namespace {

// A server that made us wait less than this (kPause) so many times in a row has more to say than it
// can say at once; a small transaction ends before. kGather is about as long as it needs to fill
// the socket's buffer with small rows.
constexpr absl::Duration kPause = absl::Microseconds(200);
constexpr int kBusyWaits = 16;
constexpr absl::Duration kGather = absl::Microseconds(300);

uint64_t BigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

void PutBigEndian(std::string& to, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) to.push_back(static_cast<char>(value >> shift));
}

absl::Status ExplainStart(const absl::Status& status, const std::string& slot) {
  const std::string state = SqlState(status);
  if (state == "42704") {
    return Renamed(status, absl::StatusCode::kFailedPrecondition, "slot_missing",
                   "The slot is gone, and with it the changes since. Peers must be compared "
                   "(verify) and the region joined again; "
                   "see docs/operations/errors.md.");
  }
  if (state == "55006") {
    return Renamed(
        status, absl::StatusCode::kUnavailable, "slot_active",
        "Another agent uses the slot, or the server has not noticed yet that the last one ended.");
  }
  if (state == "55000") {
    return Renamed(status, absl::StatusCode::kFailedPrecondition, "slot_invalidated",
                   "The server removed WAL that the slot " + slot +
                       " needed. Join the region again; see docs/operations/errors.md.");
  }
  return status;
}

}  // namespace

ReplicationStream::~ReplicationStream() { PQfreemem(buffer_); }

absl::StatusOr<std::unique_ptr<ReplicationStream>> ReplicationStream::Connect(
    const Options& options) {
  PGDUET_ASSIGN_OR_RETURN(std::unique_ptr<PgConnection> connection,
                          PgConnection::Open({.conninfo = options.conninfo,
                                              .application_name = options.application_name,
                                              .replication = true,
                                              .settings = PinnedSettings()}));
  return std::unique_ptr<ReplicationStream>(new ReplicationStream(options, std::move(connection)));
}

absl::StatusOr<SystemIdentity> ReplicationStream::Identify() {
  PGDUET_ASSIGN_OR_RETURN(const PgResult row, connection_->Query("IDENTIFY_SYSTEM"));
  return SystemIdentity{.system_identifier = std::string(row.Text(0, 0)),
                        .timeline = static_cast<int>(row.Int(0, 1))};
}

absl::StatusOr<Lsn> ReplicationStream::SwitchPoint(int timeline, int left_timeline) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult history,
                          connection_->Query(fmt::format("TIMELINE_HISTORY {}", timeline)));
  // Lines: "<parent timeline>\t<switch point>\t<reason>".
  std::string_view text = history.Text(0, 1);
  while (!text.empty()) {
    const std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    int parent = 0;
    unsigned high = 0, low = 0;
    if (std::sscanf(line.c_str(), "%d %X/%X", &parent, &high, &low) == 3 &&
        parent == left_timeline) {
      return Lsn(static_cast<uint64_t>(high) << 32 | low);
    }
  }
  return Lsn();
}

absl::Status ReplicationStream::Start(Lsn from) {
  const std::string command = fmt::format(
      "START_REPLICATION SLOT {} LOGICAL {} (proto_version '1', publication_names {}, messages "
      "'true')",
      QuoteName(options_.slot), from.ToString(),
      connection_->QuoteLiteral(QuoteName(options_.publication)));
  const absl::Status status = connection_->Query(command).status();
  return status.ok() ? status : ExplainStart(status, options_.slot);
}

absl::Status ReplicationStream::EndOfStream() {
  PgResult result(PQgetResult(connection_->raw()));
  absl::Status status = connection_->StatusOf(result.raw());
  if (!status.ok() && !absl::IsUnavailable(status)) return ExplainStart(status, options_.slot);
  return NamedError(absl::StatusCode::kUnavailable, "database_unavailable",
                    "the server ended the replication stream");
}

absl::StatusOr<std::optional<ReplicationStream::Frame>> ReplicationStream::Next(
    absl::Duration timeout) {
  PGDUET_ASSIGN_OR_RETURN(std::optional<Frame> frame, Buffered());
  if (frame || timeout <= absl::ZeroDuration()) return frame;
  // Without a look at the socket first: TLS may have read more of it than was asked for.
  if (PQconsumeInput(connection_->raw()) != 1) return connection_->ConnectionStatus();
  PGDUET_ASSIGN_OR_RETURN(frame, Buffered());
  const absl::Time until = absl::Now() + timeout;
  while (!frame && absl::Now() < until) {
    PGDUET_RETURN_IF_ERROR(Await(until - absl::Now()));
    if (PQconsumeInput(connection_->raw()) != 1) return connection_->ConnectionStatus();
    PGDUET_ASSIGN_OR_RETURN(frame, Buffered());
  }
  return frame;
}

absl::StatusOr<std::optional<ReplicationStream::Frame>> ReplicationStream::Buffered() {
  if (buffer_ != nullptr) PQfreemem(std::exchange(buffer_, nullptr));
  const int length = PQgetCopyData(connection_->raw(), &buffer_, /*async=*/1);
  if (length == 0) return std::nullopt;
  if (length > 0) return ParseFrame({buffer_, static_cast<size_t>(length)});
  const absl::Status connection = connection_->ConnectionStatus();
  return length == -1 || connection.ok() ? EndOfStream() : connection;
}

// Until the server has sent something. One that pauses is answered at once.
absl::Status ReplicationStream::Await(absl::Duration timeout) {
  absl::Time began = absl::Now();
  if (short_waits_ >= kBusyWaits) {
    absl::SleepFor(std::min(kGather, timeout));
    began = absl::Now();
  }
  pollfd descriptor{.fd = PQsocket(connection_->raw()), .events = POLLIN, .revents = 0};
  const auto wait =
      static_cast<int>(absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1))));
  if (poll(&descriptor, 1, wait) < 0 && errno != EINTR)
    return absl::UnavailableError("poll on the replication socket failed");
  short_waits_ = absl::Now() - began > kPause ? 0 : std::min(short_waits_ + 1, kBusyWaits);
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ReplicationStream::Frame>> ReplicationStream::ParseFrame(
    std::string_view bytes) const {
  Frame frame;
  if (bytes[0] == 'w' && bytes.size() >= 25) {
    frame.wal_end = Lsn(BigEndian(bytes.substr(9, 8)));
    frame.payload = bytes.substr(25);
    return frame;
  }
  if (bytes[0] == 'k' && bytes.size() == 18) {
    frame.keepalive = true;
    frame.wal_end = Lsn(BigEndian(bytes.substr(1, 8)));
    frame.reply_requested = bytes[17] != 0;
    return frame;
  }
  return NamedError(absl::StatusCode::kDataLoss, "malformed_pgoutput",
                    "malformed replication frame");
}

absl::Status ReplicationStream::SendFeedback(Lsn flushed) {
  std::string message = "r";
  for (int position = 0; position < 3; ++position)
    PutBigEndian(message, flushed.value());  // written, flushed, applied
  PutBigEndian(message,
               static_cast<uint64_t>(absl::ToUnixMicros(absl::Now()) - kPostgresEpochMicros));
  message.push_back('\0');
  if (PQputCopyData(connection_->raw(), message.data(), static_cast<int>(message.size())) != 1 ||
      PQflush(connection_->raw()) < 0) {
    return connection_->ConnectionStatus().ok()
               ? absl::UnavailableError("feedback could not be sent")
               : connection_->ConnectionStatus();
  }
  return absl::OkStatus();
}

}  // namespace pgduet
