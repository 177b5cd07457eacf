// Texts: the applied marker, the sidecar's vectors, LSNs.
#include "base/named_error.h"
#include "capture/applied_marker.h"
#include "schemas/version.h"
#include "tests/fuzz/fuzz_target.h"

namespace pgduet {
namespace {

const Position kPosition = {.incarnation = 0xABCDEF0123456789,
                            .sequence = 12,
                            .commit_lsn = Lsn(0x16B374D848),
                            .commit_time = 1'700'000'000'000'000};

}  // namespace

FuzzOutcome FuzzMarker(std::string_view text) {
  const auto marker = DecodeMarker(text);
  if (!marker.ok()) {
    return {.complaint = ErrorName(marker.status()) == "malformed_marker"
                             ? ""
                             : "an error without its name"};
  }
  if (EncodeMarker(*marker) != text)
    return {.complaint = "a marker that we would not write was taken"};
  return {.accepted = true};
}

std::vector<std::string> MarkerSeeds() {
  return {EncodeMarker({.rank = 1, .position = kPosition}), EncodeMarker({}),
          "1 0 0000000000000001 1 0/1 -5"};
}

FuzzOutcome FuzzVectorText(std::string_view text) {
  const AppliedVector vector = DecodeVector(std::string(text));
  if (vector.size() > static_cast<size_t>(kRegionsMax)) return {.complaint = "a rank out of range"};
  if (vector == AppliedVector()) return {};
  if (EncodeVector(vector) != text)
    return {.complaint = "a vector that we would not write was taken"};
  return {.accepted = true};
}

std::vector<std::string> VectorTextSeeds() {
  AppliedVector vector;
  vector.Set(0, kPosition);
  vector.Set(2, {.incarnation = 1, .sequence = 2, .commit_lsn = Lsn(3)});
  vector.Set(31, kPosition);
  return {EncodeVector(vector), "", "0:0000000000000001:1:1:-5"};
}

FuzzOutcome FuzzLsnText(std::string_view text) {
  const auto lsn = Lsn::Parse(text);
  if (!lsn.ok())
    return {.complaint =
                ErrorName(lsn.status()) == "invalid_lsn" ? "" : "an error without its name"};
  const auto again = Lsn::Parse(lsn->ToString());
  if (!again.ok() || *again != *lsn) return {.complaint = "the position changed on its way"};
  return {.accepted = true};
}

std::vector<std::string> LsnTextSeeds() {
  return {"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "a/0000000b"};
}

}  // namespace pgduet
