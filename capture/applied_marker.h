// The marker that our own apply transactions carry as their first statement, and how capture
// recognises it.
//
// A transactional logical message, content below. It counts only when the transaction also has one
// of our set's replication origins, which an application cannot set without the right to: any role
// may emit logical messages. Every slot of a database decodes all of its messages, those of other
// sets, too; their prefixes and origins keep them apart.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "schemas/version.h"

namespace pgduet {

// Prefixes of a set's messages: "pgduet", "pgduet.barrier", ...; of other sets than `main`
// "pgduet:orders", "pgduet:orders.barrier", ... (names of sets have neither ':' nor '.').
struct MessagePrefixes {
  explicit MessagePrefixes(std::string_view set);

  std::string marker;
  std::string barrier;
  // "No transaction whose commit record comes after this one's has a commit time at or below
  // <microseconds>." Written by the housekeeper (apply/closed_time.h) under our origin; each
  // capture of the set in this database hears of it at the same place.
  std::string closed;
  // A notice about a change of policies (schemas/policy_notice.h), under our origin, too.
  std::string policy;
};

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

// Whose transactions run under an origin. No part of an origin's name has a ':', so that a set
// cannot be taken for another one whose name begins in the same way.
enum class OriginOwner { kOthers, kOurSet, kOtherSet };
class OriginOwners {
 public:
  OriginOwners(std::string_view group, std::string_view set);
  OriginOwner OwnerOf(std::string_view origin_name) const;

 private:
  std::string group_prefix_;  // "pgduet:<group>:"
  std::string set_prefix_;    // "pgduet:<group>:<set>:"
};

}  // namespace pgduet
