#include "apply/apply_scope.h"

namespace pgduet {

CommitTime InsertedKeys::TimeOf(TableKey key) const {
  const uint64_t wanted = key.Mixed();
  CommitTime time = kOldestTime;
  size_t place = 0;
  auto run = runs_.begin();
  for (const uint64_t hash : hashes_) {
    while (std::next(run) != runs_.end() && std::next(run)->first <= place) ++run;
    if (hash == wanted && run->second > time) time = run->second;
    ++place;
  }
  return time;
}

std::vector<KeyDelete> InsertedKeys::Among(const std::vector<KeyDelete>& deletes) const {
  absl::flat_hash_set<uint64_t> wanted;
  for (const KeyDelete& one : deletes) wanted.insert(one.key.Mixed());
  absl::flat_hash_set<uint64_t> met;
  for (const uint64_t hash : hashes_) {
    if (wanted.contains(hash)) met.insert(hash);
  }
  std::vector<KeyDelete> hits;
  for (const KeyDelete& one : deletes) {
    const bool hit =
        one.key_text.empty() ? tables_.contains(one.key.table) : met.contains(one.key.Mixed());
    if (hit) hits.push_back(one);
  }
  return hits;
}

}  // namespace pgduet
