#include "apply/tombstone_registry.h"

#include <algorithm>
#include <utility>

namespace pgduet {

bool TombstoneRegistry::MayHaveTombstone(TableKey key) const {
  std::scoped_lock lock(mutex_);
  return overflow_ || keys_.contains(key) || keys_.contains(TableKey{key.table, 0});
}

void TombstoneRegistry::Add(TableKey key) {
  std::scoped_lock lock(mutex_);
  Insert(key);
}

void TombstoneRegistry::Insert(TableKey key) {
  if (keys_.size() >= keys_max_) overflow_ = true;
  if (!overflow_) keys_[key] = ++generation_;
}

uint64_t TombstoneRegistry::Generation() const {
  std::scoped_lock lock(mutex_);
  return generation_;
}

void TombstoneRegistry::Remove(const std::vector<TableKey>& keys, uint64_t generation) {
  std::scoped_lock lock(mutex_);
  for (const TableKey& key : keys) {
    auto at = keys_.find(key);
    if (at != keys_.end() && at->second <= generation && !pending_.contains(key)) keys_.erase(at);
  }
}

size_t TombstoneRegistry::size() const {
  std::scoped_lock lock(mutex_);
  return keys_.size();
}

void TombstoneRegistry::RegisterDeletes(const std::vector<KeyDelete>& deletes) {
  std::scoped_lock lock(mutex_);
  for (const KeyDelete& one : deletes) {
    Insert(one.key);
    pending_[one.key].push_back({one.version, one.incarnation});
    if (!active_.empty()) log_.push_back(one);
  }
  if (active_.empty()) log_begin_ += deletes.size();
}

void TombstoneRegistry::WaitForCommits() {
  std::unique_lock lock(mutex_);
  // Appliers that enter their commit phase from now on have seen what was registered, so only those inside count.
  const uint64_t first_later = next_ticket_;
  committed_.wait(lock, [&] { return committing_.empty() || *committing_.begin() >= first_later; });
}

void TombstoneRegistry::DeletesWritten(const std::vector<KeyDelete>& deletes) {
  std::scoped_lock lock(mutex_);
  for (const KeyDelete& one : deletes) {
    auto at = pending_.find(one.key);
    if (at == pending_.end()) continue;
    std::erase_if(at->second, [&](const PendingDelete& pending) { return pending.version == one.version; });
    if (at->second.empty()) pending_.erase(at);
  }
}

std::optional<PendingDelete> TombstoneRegistry::Pending(TableKey key, Rank except) const {
  std::scoped_lock lock(mutex_);
  std::optional<PendingDelete> newest;
  for (const TableKey& candidate : {key, TableKey{key.table, 0}}) {
    auto at = pending_.find(candidate);
    if (at == pending_.end()) continue;
    for (const PendingDelete& one : at->second) {
      if (one.version.rank != except && (!newest || newest->version < one.version)) newest = one;
    }
  }
  return newest;
}

void TombstoneRegistry::TrimLog() {
  const uint64_t needed = active_.empty() ? log_begin_ + log_.size() : *active_.begin();
  while (!log_.empty() && log_begin_ < needed) {
    log_.pop_front();
    ++log_begin_;
  }
}

void TombstoneRegistry::Applier::Begin() {
  Leave();
  std::scoped_lock lock(registry_.mutex_);
  seen_ = registry_.log_begin_ + registry_.log_.size();
  registry_.active_.insert(seen_);
  active_ = true;
}

std::vector<KeyDelete> TombstoneRegistry::Applier::EnterCommit(const Concerns& concerns) {
  std::scoped_lock lock(registry_.mutex_);
  const auto unseen = registry_.log_.begin() + static_cast<std::ptrdiff_t>(seen_ - registry_.log_begin_);
  std::vector<KeyDelete> hits;
  std::vector<KeyDelete> of_others;
  std::copy_if(unseen, registry_.log_.end(), std::back_inserter(of_others),
               [this](const KeyDelete& one) { return one.version.rank != origin_; });
  if (!of_others.empty()) hits = concerns(of_others);
  registry_.active_.erase(registry_.active_.find(seen_));
  seen_ = registry_.log_begin_ + registry_.log_.size();
  registry_.active_.insert(seen_);
  registry_.TrimLog();
  if (hits.empty()) {
    ticket_ = registry_.next_ticket_++;
    registry_.committing_.insert(ticket_);
  }
  return hits;
}

void TombstoneRegistry::Applier::RegisterDeletes(std::vector<KeyDelete> deletes) {
  registry_.RegisterDeletes(deletes);
  registry_.WaitForCommits();
  registered_.insert(registered_.end(), std::make_move_iterator(deletes.begin()), std::make_move_iterator(deletes.end()));
}

void TombstoneRegistry::Applier::Leave() {
  if (!active_) return;
  registry_.DeletesWritten(std::exchange(registered_, {}));
  std::scoped_lock lock(registry_.mutex_);
  registry_.active_.erase(registry_.active_.find(seen_));
  registry_.TrimLog();
  active_ = false;
  if (ticket_ != 0) {
    registry_.committing_.erase(std::exchange(ticket_, 0));
    registry_.committed_.notify_all();
  }
}

}  // namespace pgduet
