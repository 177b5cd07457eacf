#include "apply/decoder_barrier.h"

#include "base/named_error.h"

namespace pgduet {

absl::Status DecoderBehind() {
  return NamedError(absl::StatusCode::kAborted, "decoder_behind",
                    "capture has not reached this moment yet");
}

absl::Status AwaitHoldingLocks(DecoderBarrier& barrier, const LockPatience& patience,
                               const std::stop_token& stop) {
  const absl::Status reached = barrier.Wait(patience.duration(), stop);
  return absl::IsDeadlineExceeded(reached) ? DecoderBehind() : reached;
}

}  // namespace pgduet
