// What must be true of a run, judged from the logs of the databases alone.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/simulation/simulation.h"

namespace pgduet::simulation {

class Checker {
 public:
  explicit Checker(const Simulation& simulation)
      : regions_(simulation.regions()), keys_(simulation.world().keys) {
    for (const auto& region : regions_) ReadSources(*region);
  }

  // Throws the first Violation.
  void Check() {
    for (const auto& region : regions_) {
      CheckOnceAndInOrder(*region);
      CheckRows(*region);
    }
    for (const auto& region : regions_) {
      CheckEntries(*region);
      CheckMeetings(*region);
    }
    for (Key key = 0; key < keys_; ++key) CheckNothingLostSilently(key);
  }

 private:
  // The last thing that a transaction did to a key.
  struct Write {
    bool deletes = false;
    bool truncates = false;  // the transaction truncated the table before
    uint64_t value = 0;
  };
  struct Source {
    Rank rank = 0;
    Version version;
    std::map<Key, Write> writes;
    std::set<Serial> past;
    uint64_t visible_at = 0;
  };

  static std::string Name(const Source& source, Serial serial) {
    return fmt::format("{} (region {}, time {}, lsn {})", serial, source.rank,
                       source.version.commit_time, source.version.commit_lsn.value());
  }
  std::string Name(Serial serial) const {
    return serial == 0 ? "nothing" : Name(sources_.at(serial), serial);
  }

  void ReadSources(const Region& region) {
    std::set<Serial> past;
    for (size_t at = 0; at < region.database.wal().size(); ++at) {
      const WalRecord& record = region.database.wal()[at];
      past.insert(record.applied.begin(), record.applied.end());
      if (record.kind != RecordKind::kLocal) continue;
      Source source{.rank = region.rank,
                    .version = {record.time, region.rank, Lsn(at + 1)},
                    .past = past,
                    .visible_at = record.visible_at};
      for (const RowWrite& change : record.changes) Note(change, source.writes);
      sources_[record.serial] = std::move(source);
      past.insert(record.serial);
    }
  }
  void Note(const RowWrite& change, std::map<Key, Write>& writes) const {
    if (change.kind != ChangeKind::kTruncate) {
      Write& write = writes[change.key];
      write.deletes = change.kind == ChangeKind::kDelete;
      write.value = change.value;
      return;
    }
    for (Key key = 0; key < keys_; ++key) writes[key] = {.deletes = true, .truncates = true};
  }

  // Neither had seen the other. A "past" that is not lower is the insert that became visible too
  // late to be seen.
  bool Concurrent(Serial a, Serial b) const {
    const Source& first = sources_.at(a);
    const Source& second = sources_.at(b);
    if (first.past.contains(b)) return first.version < second.version;
    if (second.past.contains(a)) return second.version < first.version;
    return a != b;
  }

  void CheckOnceAndInOrder(const Region& region) const {
    std::set<Serial> here;
    for (const WalRecord& record : region.database.wal()) {
      for (const Serial serial : record.applied) {
        for (const Serial before : sources_.at(serial).past) {
          if (!here.contains(before)) {
            throw Violation(fmt::format("causal order: region {} has {} before {}", region.rank,
                                        Name(serial), Name(before)));
          }
        }
        if (!here.insert(serial).second) {
          throw Violation(fmt::format("applied twice: region {}, {}", region.rank, Name(serial)));
        }
      }
      if (record.kind == RecordKind::kLocal) here.insert(record.serial);
    }
    if (here.size() != sources_.size()) {
      throw Violation(fmt::format("not everything arrived: region {}", region.rank));
    }
  }

  Serial Winner(Key key) const {
    Serial winner = 0;
    for (const auto& [serial, source] : sources_) {
      if (!source.writes.contains(key)) continue;
      if (Higher(serial, winner)) winner = serial;
    }
    return winner;
  }

  void CheckRows(const Region& region) const {
    for (Key key = 0; key < keys_; ++key) {
      const Serial winner = Winner(key);
      const auto row = region.database.rows().find(key);
      const bool lives = winner != 0 && !sources_.at(winner).writes.at(key).deletes;
      const uint64_t wanted = lives ? sources_.at(winner).writes.at(key).value : 0;
      const uint64_t found = row == region.database.rows().end() ? 0 : row->second.value;
      if (wanted == found) continue;
      throw Violation(fmt::format("diverged: region {} key {} holds {}, not {} of {}", region.rank,
                                  key, found == 0 ? "nothing" : Name(row->second.writer),
                                  lives ? "the row" : "the delete", Name(winner)));
    }
  }

  // No entry for what was not concurrent, and none for keys of which nothing was known.
  void CheckEntries(const Region& region) const {
    for (const WalRecord& record : region.database.wal()) {
      for (const LogEntry& entry : record.log) {
        if (entry.local == 0 && !MissedForAReason(region, record, entry)) {
          throw Violation(fmt::format("region {} key {}: {} for {}, nothing known", region.rank,
                                      entry.key, ConflictKindName(entry.kind), Name(entry.remote)));
        }
        if (entry.local == 0 || entry.ambiguous || Concurrent(entry.remote, entry.local)) continue;
        throw Violation(fmt::format("false conflict: region {} key {}: {} and {}", region.rank,
                                    entry.key, Name(entry.remote), Name(entry.local)));
      }
    }
  }
  // Two reasons for which a row that the origin had may be missing here, without a tombstone:
  // - the origin changed a row that its own earlier delete was about to remove again: the highest
  // that it had seen is a
  //   delete, whose tombstone may be gone here;
  // - it is our own insert, published but not visible yet.
  bool MissedForAReason(const Region& region, const WalRecord& record,
                        const LogEntry& entry) const {
    Serial highest = 0;
    for (const Serial serial : sources_.at(entry.remote).past) {
      const Source& source = sources_.at(serial);
      if (!source.writes.contains(entry.key)) continue;
      if (source.rank == region.rank && source.visible_at >= record.began_at) return true;
      if (Higher(serial, highest)) highest = serial;
    }
    return highest != 0 && sources_.at(highest).writes.at(entry.key).deletes;
  }

  bool LoggedAsLoser(const Region& region, Key key, Serial loser) const {
    for (const LogEntry& entry : region.database.conflict_log()) {
      if (entry.key == key && entry.loser() == loser) return true;
    }
    return false;
  }
  bool LoggedAsLoserAnywhere(Key key, Serial loser) const {
    for (const auto& region : regions_) {
      if (LoggedAsLoser(*region, key, loser)) return true;
    }
    return false;
  }
  bool Superseded(Key key, Serial serial) const {
    for (const auto& [other, source] : sources_) {
      if (source.writes.contains(key) && source.past.contains(serial)) return true;
    }
    return false;
  }
  // A delete that loses to a delete loses nothing; a truncate is one, whatever its transaction
  // inserted after it.
  bool NothingLost(Key key, Serial a, Serial b) const {
    const bool lower = sources_.at(a).version < sources_.at(b).version;
    const Write& loser = sources_.at(lower ? a : b).writes.at(key);
    const Write& winner = sources_.at(lower ? b : a).writes.at(key);
    return loser.deletes && (winner.deletes || winner.truncates);
  }

  // What stands under a key at a region, in the order of its log.
  struct Standing {
    Serial serial = 0;
    uint64_t began_at = 0;  // of the transaction that brought it here
    uint64_t known_at =
        0;  // when everybody here could see it: local deletes once they are journaled
  };

  // Follows each key through the region's log, and asks for an entry where a remote write met what
  // it had not seen.
  void CheckMeetings(const Region& region) const {
    std::map<Serial, uint64_t> journaled;
    for (const WalRecord& record : region.database.wal()) {
      if (record.kind == RecordKind::kInternal) journaled[record.journal_of] = record.visible_at;
    }
    std::map<Key, Standing> standing;
    for (const WalRecord& record : region.database.wal()) {
      std::vector<Serial> arriving = record.applied;
      if (record.kind == RecordKind::kLocal) arriving.push_back(record.serial);
      for (const Serial serial : arriving) {
        for (const auto& [key, write] : sources_.at(serial).writes) {
          Standing& local = standing[key];
          const bool met = local.serial != 0 && record.kind == RecordKind::kApplied &&
                           Concurrent(local.serial, serial) &&
                           !NothingLost(key, local.serial, serial);
          if (met) CheckMeeting(region, record, key, local, serial);
          if (!Higher(serial, local.serial)) continue;
          local = {serial, record.began_at, record.visible_at};
          if (record.kind == RecordKind::kLocal && write.deletes) {
            local.known_at = journaled.contains(serial) ? journaled.at(serial) : UINT64_MAX;
          }
        }
      }
    }
  }
  bool Higher(Serial serial, Serial than) const {
    return than == 0 || sources_.at(than).version < sources_.at(serial).version;
  }

  void CheckMeeting(const Region& region, const WalRecord& record, Key key,
                    const Standing& standing, Serial remote) const {
    const Serial local = standing.serial;
    const Serial loser = Higher(remote, local) ? local : remote;
    if (LoggedAsLoser(region, key, loser)) return;
    const bool excused = Hidden(key, standing, record, remote) || Late(key, remote) ||
                         Obscured(region, key, standing, record) || Collapsed(record, key, remote);
    if (excused && (LoggedAsLoserAnywhere(key, loser) || Superseded(key, loser) ||
                    DeletedByAnother(key, loser))) {
      return;
    }
    throw Violation(fmt::format("silent loss: region {} key {}: {} met {}, no entry for the loser",
                                region.rank, key, Name(remote), Name(local)));
  }

  // A delete is no lock: what comes at the same time as a delete, or while a local delete is not
  // journaled, may not see it, nor be seen by it.
  bool Hidden(Key key, const Standing& standing, const WalRecord& record, Serial remote) const {
    const bool deletes = sources_.at(standing.serial).writes.at(key).deletes ||
                         sources_.at(remote).writes.at(key).deletes;
    return deletes && standing.known_at >= record.began_at;
  }
  // A delete stands, but what came at the same time and is lower hides it until the sweep.
  bool Obscured(const Region& region, Key key, const Standing& standing,
                const WalRecord& record) const {
    if (!sources_.at(standing.serial).writes.at(key).deletes) return false;
    for (const WalRecord& other : region.database.wal()) {
      const bool overlaps =
          other.visible_at >= standing.began_at && other.began_at <= record.visible_at;
      if (!overlaps || !other.rows.contains(key) || !other.rows.at(key)) continue;
      if (Higher(standing.serial, other.rows.at(key)->writer)) return true;
    }
    return false;
  }
  // An insert that became visible at its origin only after something higher, which counts as its
  // past.
  bool Late(Key key, Serial remote) const {
    for (const Serial serial : sources_.at(remote).past) {
      if (sources_.at(serial).writes.contains(key) && Higher(serial, remote)) return true;
    }
    return false;
  }
  // A delete that lost, but there was a higher one.
  bool DeletedByAnother(Key key, Serial loser) const {
    if (!sources_.at(loser).writes.at(key).deletes) return false;
    for (const auto& [serial, source] : sources_) {
      const auto write = source.writes.find(key);
      if (write == source.writes.end() || !Higher(serial, loser)) continue;
      if (write->second.deletes || write->second.truncates) return true;
    }
    return false;
  }
  // A later transaction of the same batch wrote the key too.
  bool Collapsed(const WalRecord& record, Key key, Serial remote) const {
    const auto at = std::find(record.applied.begin(), record.applied.end(), remote);
    return std::any_of(at + 1, record.applied.end(),
                       [&](Serial later) { return sources_.at(later).writes.contains(key); });
  }

  // What nobody saw and replaced, and what does not stand, is in some log as a loser.
  void CheckNothingLostSilently(Key key) const {
    const Serial winner = Winner(key);
    for (const auto& [serial, source] : sources_) {
      if (!source.writes.contains(key) || serial == winner || Superseded(key, serial)) continue;
      if (LoggedAsLoserAnywhere(key, serial) || source.writes.at(key).deletes) continue;
      throw Violation(fmt::format("silent loss: key {}: {} is in no log", key, Name(serial)));
    }
  }

  const std::vector<std::unique_ptr<Region>>& regions_;
  const int keys_;
  std::map<Serial, Source> sources_;
};

}  // namespace pgduet::simulation
