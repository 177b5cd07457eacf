// What regions tell each other about a change of policies, in their streams
// (docs/decisions/0006-policy-changes-online.md).
//
// A notice is a transactional logical message of the region's agent; each capture of that database
// hands it on as a record of its own, at that place among the transactions. Values; pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "schemas/version.h"

namespace pgduet {

enum class PolicyNoticeKind : uint8_t {
  kPropose,   // this region was told of the new set, and is ready
  kWithdraw,  // it is not, any more
  kGo,        // of the coordinator: all are ready, close the gates
  kFenced,    // mark: behind it no write of a changed table comes until the change has ended
  kRefuse,    // this region will not: the coordinator has to abort
  kCommit,    // mark of the coordinator: all have sent theirs; everybody switches
  kAbort,     // of the coordinator: everybody goes on as before
};
std::string_view PolicyNoticeName(PolicyNoticeKind kind);

struct PolicyNotice {
  PolicyNoticeKind kind = PolicyNoticeKind::kPropose;
  // Number of the change, given by the coordinator. Of a proposal, and of what withdraws it: the
  // newest change whose end the region had heard of; 0: none.
  uint64_t change = 0;
  uint64_t from = 0;  // hash of the set that is left
  uint64_t to = 0;    // hash of the set that comes
  // Of a mark: the database's clock after everything before the mark was noted: no row that a
  // write before the mark has made carries a later time from this database.
  CommitTime clock = kOldestTime;
  bool operator==(const PolicyNotice&) const = default;

  // A stream is not read beyond it before the change has ended here.
  bool IsMark() const {
    return kind == PolicyNoticeKind::kFenced || kind == PolicyNoticeKind::kCommit;
  }
};

// "policy 1 <kind> <change> <from, hex> <to, hex> <clock>".
std::string EncodePolicyNotice(const PolicyNotice& notice);
// DataLoss/invalid_record for anything else.
absl::StatusOr<PolicyNotice> DecodePolicyNotice(std::string_view text);
inline constexpr std::string_view kPolicyNoticeBegin = "policy ";

// As it stands in the sidecar's tables: 16 hex digits.
std::string PolicyHashText(uint64_t hash);

}  // namespace pgduet
