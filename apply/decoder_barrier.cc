#include "apply/decoder_barrier.h"

#include "base/named_error.h"

namespace pgduet {

absl::Status DecoderBehind() {
  return NamedError(absl::StatusCode::kAborted, "decoder_behind",
                    "capture has not reached this moment yet");
}

absl::Status AwaitHoldingLocks(DecoderBarrier& barrier, const std::stop_token& stop) {
  constexpr absl::Duration kPatience = absl::Milliseconds(200);
  const absl::Status reached = barrier.Wait(kPatience, stop);
  return absl::IsDeadlineExceeded(reached) ? DecoderBehind() : reached;
}

}  // namespace pgduet
