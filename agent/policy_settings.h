// Puts a table's policy together: what the table says, what `defaults` says, and whether both fit.
//
// In:  drafts (policy_draft.h) and the group's regions. Out: a TablePolicy in one canonical form
// (ranks instead of names, all regions in `priority`, columns and groups sorted), and problems.
// A setting that the chosen policy does not use is a problem: it would promise something.
#pragma once

#include <string>
#include <vector>

#include "agent/config.h"
#include "agent/policy_draft.h"

namespace pgduet {

class PolicySettings {
 public:
  // All three must outlive it. Problems are appended.
  PolicySettings(const std::vector<RegionConfig>& regions, const PolicyDraft& defaults,
                 std::vector<ConfigProblem>& problems);

  // `shown`: "tables.public.stock"; `line`: of the table.
  TablePolicy Finish(const PolicyDraft& table, const std::string& shown, int line);
  // After all tables: what `defaults` says in vain.
  void FinishDefaults();

 private:
  void Problem(int line, std::string key, std::string what, std::string remedy);
  void CheckBelongs(const PolicyDraft& table, PolicyKind kind, const std::string& shown);
  void FinishOnDelete(const PolicyDraft& table, const std::string& shown, int line,
                      TablePolicy& policy);
  void FinishPriority(const PolicyDraft& table, const std::string& shown, int line,
                      TablePolicy& policy);
  void FinishMerge(const PolicyDraft& table, const std::string& shown, TablePolicy& policy);
  void FinishFunction(const PolicyDraft& table, const std::string& shown, int line,
                      TablePolicy& policy);
  std::vector<Rank> RanksOf(const std::vector<PlacedText>& names, const std::string& shown);

  const std::vector<RegionConfig>& regions_;
  const PolicyDraft& defaults_;
  std::vector<ConfigProblem>& problems_;
  std::vector<Rank> default_priority_;
  bool by_region_ = false;  // some table is
  bool default_on_delete_told_ = false;
};

}  // namespace pgduet
