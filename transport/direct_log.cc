#include "transport/direct_log.h"

#include <algorithm>
#include <utility>

#include <absl/time/clock.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr size_t kUntoldBytesMax = 64 * 1024;

}  // namespace

class DirectLog::Writer : public LogWriter {
 public:
  Writer(std::shared_ptr<DirectLog> log, uint64_t serial, int64_t first_offset)
      : log_(std::move(log)), serial_(serial), first_offset_(first_offset) {}

  // A reader that is waiting when its capture goes has not been told of the last entries.
  ~Writer() override { Tell(); }

  absl::Status Append(std::string record) override {
    {
      std::scoped_lock lock(log_->mutex_);
      PGDUET_RETURN_IF_ERROR(Living());
      if (log_->bytes_ > 0 && log_->bytes_ + record.size() > log_->queue_bytes_max_) {
        refused_ = record.size();
        return absl::ResourceExhaustedError("the log is full");
      }
      log_->bytes_ += record.size();
      untold_ += record.size();
      log_->entries_.push_back({.offset = log_->next_offset_++, .bytes = std::move(record)});
    }
    ++appended_;
    if (untold_ >= kUntoldBytesMax) Tell();
    return absl::OkStatus();
  }

  absl::Status Wait(absl::Duration timeout) override {
    Tell();
    std::unique_lock lock(log_->mutex_);
    const int64_t before = log_->applied_offset_;
    if (timeout > absl::ZeroDuration()) {
      log_->changed_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] {
        return log_->applied_offset_ != before || HasRoom() || !Living().ok();
      });
    }
    return Living();
  }

  bool HoldsBack() const override { return untold_ > 0; }

  uint64_t AppendedCount() const override { return appended_; }

  uint64_t DurableCount() const override {
    std::scoped_lock lock(log_->mutex_);
    return static_cast<uint64_t>(std::clamp<int64_t>(log_->applied_offset_ - first_offset_ + 1, 0,
                                                     static_cast<int64_t>(appended_)));
  }

  absl::StatusOr<std::optional<LogTail>> ReadTail() override { return log_->read_tail_(); }

 private:
  // The reader is woken once for all that was appended together.
  void Tell() {
    if (std::exchange(untold_, 0) > 0) log_->arrived_.notify_all();
  }
  // For what was refused last, and then some: who has filled the log is not woken for each entry
  // that leaves it. With the mutex held.
  bool HasRoom() const {
    const size_t max = log_->queue_bytes_max_;
    return log_->bytes_ == 0 || (log_->bytes_ <= max / 2 && log_->bytes_ + refused_ <= max);
  }
  absl::Status Living() const {  // with the mutex held
    if (log_->writer_ == serial_ && !log_->writer_lost_) return absl::OkStatus();
    return NamedError(absl::StatusCode::kUnavailable, "log_writer_lost",
                      "the applier begins again from its database's progress");
  }
  const std::shared_ptr<DirectLog> log_;
  const uint64_t serial_;
  const int64_t first_offset_;
  uint64_t appended_ = 0;
  size_t untold_ = 0;   // bytes that the reader was not woken for
  size_t refused_ = 0;  // size of the record that found the log full last
};

class DirectLog::Reader : public LogReader {
 public:
  Reader(std::shared_ptr<DirectLog> log, uint64_t serial) : log_(std::move(log)), serial_(serial) {}

  // The capture starts where the reader's database stands; there is nothing to seek in.
  absl::Status Seek(int64_t) override { return absl::OkStatus(); }

  absl::StatusOr<std::optional<LogEntry>> Next(absl::Duration timeout) override {
    std::unique_lock lock(log_->mutex_);
    log_->arrived_.wait_for(lock, absl::ToChronoNanoseconds(timeout), [&] {
      return interrupted_ || log_->reader_ != serial_ || !log_->entries_.empty() ||
             !log_->fault_.ok();
    });
    if (log_->reader_ != serial_) return absl::CancelledError("another reader was opened");
    if (interrupted_) return std::nullopt;
    if (log_->entries_.empty()) {
      PGDUET_RETURN_IF_ERROR(log_->fault_);
      return std::nullopt;
    }
    LogEntry entry = std::move(log_->entries_.front());
    log_->entries_.pop_front();
    const bool was_full = log_->bytes_ > log_->queue_bytes_max_ / 2;
    log_->bytes_ -= entry.bytes.size();
    if (was_full && log_->bytes_ <= log_->queue_bytes_max_ / 2) log_->changed_.notify_all();
    return entry;
  }

  void Applied(int64_t offset, Lsn) override {
    std::scoped_lock lock(log_->mutex_);
    log_->applied_offset_ = std::max(log_->applied_offset_, offset);
    log_->changed_.notify_all();
  }

  void Interrupt() override {
    std::scoped_lock lock(log_->mutex_);
    interrupted_ = true;
    log_->arrived_.notify_all();
  }

 private:
  const std::shared_ptr<DirectLog> log_;
  const uint64_t serial_;
  bool interrupted_ = false;
};

DirectLog::DirectLog(TailReader read_tail, size_t queue_bytes_max)
    : read_tail_(std::move(read_tail)),
      queue_bytes_max_(queue_bytes_max),
      next_offset_(absl::ToUnixMicros(absl::Now())),
      writer_first_offset_(next_offset_) {}

std::shared_ptr<DirectLog> DirectLog::Create(TailReader read_tail, size_t queue_bytes_max) {
  return std::shared_ptr<DirectLog>(new DirectLog(std::move(read_tail), queue_bytes_max));
}

std::unique_ptr<LogWriter> DirectLog::OpenWriter() {
  std::scoped_lock lock(mutex_);
  writer_lost_ = false;
  writer_first_offset_ = next_offset_;
  changed_.notify_all();
  return std::make_unique<Writer>(shared_from_this(), ++writer_, next_offset_);
}

void DirectLog::SetFault(absl::Status fault) {
  std::scoped_lock lock(mutex_);
  fault_ = std::move(fault);
  arrived_.notify_all();
}

std::unique_ptr<LogReader> DirectLog::OpenReader() {
  std::scoped_lock lock(mutex_);
  entries_.clear();
  bytes_ = 0;
  // Whatever the living writer has read of the WAL may be missing here now, so it must begin again.
  writer_lost_ = next_offset_ != writer_first_offset_;
  changed_.notify_all();
  arrived_.notify_all();
  return std::make_unique<Reader>(shared_from_this(), ++reader_);
}

}  // namespace pgduet
