// The marker that our own apply transactions carry as their first statement, and how capture
// recognises it.
//
// A transactional logical message, prefix "pgduet", content below. It counts only when the
// transaction also has one of our replication origins (names begin with "pgduet:<group>:"), which
// an application cannot set without the right to: any role may emit logical messages.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "schemas/version.h"

namespace pgduet {

inline constexpr std::string_view kMarkerPrefix = "pgduet";
inline constexpr std::string_view kBarrierPrefix = "pgduet.barrier";
// "No transaction whose commit record comes after this one's has a commit time at or below
// <microseconds>." Written by the housekeeper (apply/closed_time.h) under our origin; each capture
// of this database hears of it at the same place.
inline constexpr std::string_view kClosedPrefix = "pgduet.closed";
// A notice about a change of policies (schemas/policy_notice.h), under our origin, too.
inline constexpr std::string_view kPolicyPrefix = "pgduet.policy";
std::string EncodeClosedTime(CommitTime time);
absl::StatusOr<CommitTime> DecodeClosedTime(std::string_view text);

// Text form: "1 <rank> <incarnation hex> <sequence> <lsn> <commit time>". Rank kInternalRank: work
// of the agent itself (replayed deletes, repairs), filtered but moving no vector entry.
inline constexpr Rank kInternalRank = 255;
struct AppliedMarker {
  Rank rank = kInternalRank;
  Position position;
};
std::string EncodeMarker(const AppliedMarker& marker);
absl::StatusOr<AppliedMarker> DecodeMarker(std::string_view text);

// "pgduet:<group>:<set>:<region>"; the regions "local" (delete journal), "housekeeper",
// "policies" (policy journal) and "policy-change" are reserved for the agent's own work.
std::string OriginName(std::string_view group, std::string_view set, std::string_view region);
bool IsOurOrigin(std::string_view origin_name, std::string_view group);

}  // namespace pgduet
