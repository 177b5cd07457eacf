#include "resolve/orphans.h"

#include <algorithm>

namespace pgduet {

std::string_view OnOrphanName(OnOrphan rule) {
  switch (rule) {
    case OnOrphan::kReport:
      return "report";
    case OnOrphan::kDeleteChild:
      return "delete_child";
    case OnOrphan::kReviveParent:
      return "revive_parent";
  }
  return "unknown";
}

std::optional<OnOrphan> OnOrphanNamed(std::string_view name) {
  for (const OnOrphan rule : {OnOrphan::kReport, OnOrphan::kDeleteChild, OnOrphan::kReviveParent}) {
    if (OnOrphanName(rule) == name) return rule;
  }
  return std::nullopt;
}

std::optional<Decision> OrphanStep(const OrphanView& orphan) {
  if (orphan.rule == OnOrphan::kReport) return Decision::kReportOrphan;
  if (orphan.deleter != orphan.self && !orphan.overdue) return std::nullopt;
  if (orphan.rule == OnOrphan::kDeleteChild) return Decision::kDeleteChild;
  return orphan.parent_known ? Decision::kReviveParent : Decision::kReportOrphan;
}

const OrphanRule* RevivedHalfway(std::span<const OrphanRule> rules) {
  for (const OrphanRule& one : rules) {
    if (one.rule != OnOrphan::kReviveParent) continue;
    const bool halfway = std::any_of(rules.begin(), rules.end(), [&](const OrphanRule& up) {
      return up.child == one.parent && up.rule != OnOrphan::kReviveParent;
    });
    if (halfway) return &one;
  }
  return nullptr;
}

}  // namespace pgduet
