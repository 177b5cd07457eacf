// Who the applying region is, as its database (pgduet.identity) and the configuration say. A value;
// fixed for a run.
#pragma once

#include <string>
#include <vector>

#include "capture/applied_marker.h"
#include "schemas/version.h"

namespace pgduet {

struct RegionIdentity {
  std::string group;
  std::string set = "main";
  MessagePrefixes messages{set};
  std::vector<std::string> regions;  // by rank
  Rank rank = 0;                     // ours
  Incarnation incarnation = 0;
  Lsn baseline_lsn;
  uint64_t baseline_xid = 0;            // every xid below had ended when the slot began
  std::vector<uint32_t> baseline_xids;  // those above that had ended, too
  std::string system_identifier;
  int timeline = 0;
  uint64_t writer_epoch = 0;  // of this run

  const std::string& NameOf(Rank of) const { return regions[of]; }
  const std::string& name() const { return regions[rank]; }
  bool OnlyTwo() const { return regions.size() == 2; }
  // Whose write a row's stamp names, by the replication origins' oids of this database, by rank (0
  // for our own); unknown origins (other tools') and unstamped rows count as local.
  Rank RankOf(uint32_t roident, const std::vector<uint32_t>& origin_oids) const {
    for (size_t at = 0; at < origin_oids.size(); ++at) {
      if (roident != 0 && origin_oids[at] == roident) return static_cast<Rank>(at);
    }
    return rank;
  }
};

}  // namespace pgduet
