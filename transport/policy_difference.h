// Names the first setting in which two canonical policy texts (one setting a line, sorted) differ.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace pgduet {

// "here 'public.stock policy=merge', there 'public.stock policy=last_write_wins'"; "no setting" on
// the side that lacks the line. The peer's text comes from the log: it is cut and stripped of
// control characters.
std::string DescribePolicyDifference(std::string_view here, std::string_view there);

// FailedPrecondition/policy_mismatch with that (or another) detail.
absl::Status PolicyMismatch(std::string_view detail);

}  // namespace pgduet
