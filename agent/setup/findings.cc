#include "agent/setup/findings.h"

#include <algorithm>

#include "base/named_error.h"

namespace pgduet {

std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "";
}

bool HasErrors(const Findings& findings) {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding& one) { return one.severity == Severity::kError; });
}

absl::Status FirstError(const Findings& findings) {
  for (const Finding& one : findings) {
    if (one.severity == Severity::kError) {
      return NamedError(absl::StatusCode::kFailedPrecondition, one.name, one.what, one.remedy);
    }
  }
  return absl::OkStatus();
}

void AddStatus(Findings& findings, const absl::Status& status) {
  if (status.ok()) return;
  findings.push_back(
      {Severity::kError, ErrorName(status), std::string(status.message()), ErrorRemedy(status)});
}

}  // namespace pgduet
