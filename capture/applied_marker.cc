#include "capture/applied_marker.h"

#include <charconv>
#include <cstdio>
#include <sstream>

#include <fmt/format.h>

#include "base/named_error.h"
#include "schemas/sidecar.h"

namespace pgduet {
namespace {

absl::Status Malformed() {
  return NamedError(absl::StatusCode::kDataLoss, "malformed_marker",
                    "the marker of an apply transaction is malformed",
                    "Only pgduet may write transactions under its replication origins.");
}

}  // namespace

MessagePrefixes::MessagePrefixes(std::string_view set)
    : marker(set == kMainSet ? "pgduet" : fmt::format("pgduet:{}", set)),
      barrier(marker + ".barrier"),
      closed(marker + ".closed"),
      policy(marker + ".policy") {}

std::string EncodeMarker(const AppliedMarker& marker) {
  return fmt::format("1 {} {:016x} {} {} {}", marker.rank, marker.position.incarnation,
                     marker.position.sequence, marker.position.commit_lsn.ToString(),
                     marker.position.commit_time);
}

absl::StatusOr<AppliedMarker> DecodeMarker(std::string_view text) {
  std::istringstream words{std::string(text)};
  int version = 0;
  unsigned rank = 0;
  std::string incarnation, lsn;
  AppliedMarker marker;
  words >> version >> rank >> incarnation >> marker.position.sequence >> lsn >>
      marker.position.commit_time;
  char* end = nullptr;
  marker.position.incarnation = std::strtoull(incarnation.c_str(), &end, 16);
  const absl::StatusOr<Lsn> commit_lsn = Lsn::Parse(lsn);
  const bool rank_known = rank == kInternalRank || rank < static_cast<unsigned>(kRegionsMax);
  if (words.fail() || version != 1 || !rank_known || incarnation.size() != 16 || *end != '\0' ||
      !commit_lsn.ok()) {
    return Malformed();
  }
  marker.rank = static_cast<Rank>(rank);
  marker.position.commit_lsn = *commit_lsn;
  // Streams read generously (signs, blanks, what stands behind): only what EncodeMarker writes
  // counts.
  return EncodeMarker(marker) == text ? absl::StatusOr<AppliedMarker>(marker) : Malformed();
}

std::string EncodeClosedTime(CommitTime time) { return std::to_string(time); }

absl::StatusOr<CommitTime> DecodeClosedTime(std::string_view text) {
  CommitTime time = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), time);
  if (error != std::errc() || end != text.data() + text.size()) {
    return NamedError(absl::StatusCode::kDataLoss, "malformed_marker",
                      "the message of a closed time is malformed",
                      "Only pgduet may write transactions under its replication origins.");
  }
  return time;
}

std::string OriginName(std::string_view group, std::string_view set, std::string_view region) {
  return fmt::format("pgduet:{}:{}:{}", group, set, region);
}

OriginOwners::OriginOwners(std::string_view group, std::string_view set)
    : group_prefix_(fmt::format("pgduet:{}:", group)), set_prefix_(OriginName(group, set, "")) {}

OriginOwner OriginOwners::OwnerOf(std::string_view origin_name) const {
  if (!origin_name.starts_with(group_prefix_)) return OriginOwner::kOthers;
  return origin_name.starts_with(set_prefix_) ? OriginOwner::kOurSet : OriginOwner::kOtherSet;
}

}  // namespace pgduet
