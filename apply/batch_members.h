// Which transaction of a batch wrote a row. The rows of a batch share one xid and one stamp, the
// highest commit time; what each of them was written by at its origin is told by this list, which
// stands beside the batch in pgduet.progress and in the CoverageHistory.
//
// docs/decisions/0008. Keys are kept as 64-bit hashes. Values; one thread until Finish(), then
// read-only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "apply/tombstone_registry.h"
#include "schemas/version.h"

namespace pgduet {

class BatchMembers {
 public:
  struct Writer {
    Lsn commit_lsn;
    CommitTime commit_time = kOldestTime;
  };

  // In the order of the batch.
  void AddTransaction(const Writer& writer) { writers_.push_back(writer); }
  // The transaction (by its place) wrote the row that stands now; a later call for the key counts.
  void Wrote(TableKey key, uint32_t transaction) { open_[key.Mixed()] = transaction; }
  void Finish();

  // Nothing: the batch did not write that row.
  std::optional<Writer> WriterOf(TableKey key) const;
  size_t bytes() const {
    return writers_.size() * sizeof(Writer) + rows_.size() * sizeof(rows_.front());
  }

  // As it stands in pgduet.progress (bytea, in hex). DataLoss: no such list.
  std::string Encode() const;
  static absl::StatusOr<BatchMembers> Decode(std::string_view text);

 private:
  std::vector<Writer> writers_;
  absl::flat_hash_map<uint64_t, uint32_t> open_;
  std::vector<std::pair<uint64_t, uint32_t>> rows_;  // sorted
};

}  // namespace pgduet
