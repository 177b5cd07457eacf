#include "apply/tombstone_registry.h"

#include <algorithm>
#include <utility>

namespace pgduet {

bool TombstoneRegistry::MayHaveTombstone(TableKey key) const {
  std::scoped_lock lock(mutex_);
  return overflow_ || keys_.contains(key) || keys_.contains(TableKey{key.table, 0});
}

bool TombstoneRegistry::MayStopInsert(TableKey key, const Version& version) const {
  std::scoped_lock lock(mutex_);
  if (overflow_ || keys_.contains(key)) return true;
  const auto at = truncates_.find(key.table);
  if (at == truncates_.end()) return false;
  const Truncates& truncates = at->second;
  return !truncates.of_one_origin || truncates.newest.rank != version.rank ||
         truncates.newest > version;
}

void TombstoneRegistry::Add(TableKey key, const Version& version) {
  std::scoped_lock lock(mutex_);
  Insert(key, version);
}

void TombstoneRegistry::Insert(TableKey key, const Version& version) {
  if (keys_.size() >= keys_max_) overflow_ = true;
  if (overflow_) return;
  keys_[key] = ++generation_;
  if (key.key_hash != 0) return;
  const auto [at, fresh] = truncates_.try_emplace(key.table, Truncates{.newest = version});
  at->second.of_one_origin &= at->second.newest.rank == version.rank;
  at->second.newest = std::max(at->second.newest, version);
}

uint64_t TombstoneRegistry::Generation() const {
  std::scoped_lock lock(mutex_);
  return generation_;
}

void TombstoneRegistry::Remove(const std::vector<TableKey>& keys, uint64_t generation) {
  std::scoped_lock lock(mutex_);
  for (const TableKey& key : keys) {
    auto at = keys_.find(key);
    if (at == keys_.end() || at->second > generation || pending_.contains(key) ||
        held_.contains(key))
      continue;
    keys_.erase(at);
    if (key.key_hash == 0) truncates_.erase(key.table);
  }
}

size_t TombstoneRegistry::size() const {
  std::scoped_lock lock(mutex_);
  return keys_.size();
}

void TombstoneRegistry::RegisterDeletes(const std::vector<KeyDelete>& deletes) {
  std::scoped_lock lock(mutex_);
  for (const KeyDelete& one : deletes) {
    Insert(one.key, one.version);
    pending_[one.key].push_back({one.version, one.incarnation});
    if (!active_.empty()) log_.push_back(one);
  }
  if (active_.empty()) log_begin_ += deletes.size();
}

void TombstoneRegistry::WaitForCommits() {
  std::unique_lock lock(mutex_);
  // Appliers that enter their commit phase from now on have seen what was registered, so only those
  // inside count.
  const uint64_t first_later = next_ticket_;
  committed_.wait(lock, [&] { return committing_.empty() || *committing_.begin() >= first_later; });
}

void TombstoneRegistry::DeletesWritten(const std::vector<KeyDelete>& deletes) {
  std::scoped_lock lock(mutex_);
  for (const KeyDelete& one : deletes) {
    auto at = pending_.find(one.key);
    if (at == pending_.end()) continue;
    std::erase_if(at->second,
                  [&](const PendingDelete& pending) { return pending.version == one.version; });
    if (at->second.empty()) pending_.erase(at);
    Renew(one.key);
  }
}

// The key's newest tombstone is committed now: a removal that began before does not speak of it.
void TombstoneRegistry::Renew(TableKey key) {
  const auto at = keys_.find(key);
  if (at != keys_.end()) at->second = ++generation_;
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
  const auto unseen =
      registry_.log_.begin() + static_cast<std::ptrdiff_t>(seen_ - registry_.log_begin_);
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
  registered_.insert(registered_.end(), std::make_move_iterator(deletes.begin()),
                     std::make_move_iterator(deletes.end()));
}

void TombstoneRegistry::Applier::Write(TableKey key, const Version& version) {
  std::scoped_lock lock(registry_.mutex_);
  registry_.Insert(key, version);
  ++registry_.held_[key];
  written_.push_back(key);
}

void TombstoneRegistry::Applier::Leave() {
  if (!active_) return;
  registry_.DeletesWritten(std::exchange(registered_, {}));
  std::scoped_lock lock(registry_.mutex_);
  for (const TableKey& key : std::exchange(written_, {})) {
    registry_.Renew(key);
    if (--registry_.held_[key] == 0) registry_.held_.erase(key);
  }
  registry_.active_.erase(registry_.active_.find(seen_));
  registry_.TrimLog();
  active_ = false;
  if (ticket_ != 0) {
    registry_.committing_.erase(std::exchange(ticket_, 0));
    registry_.committed_.notify_all();
  }
}

}  // namespace pgduet
