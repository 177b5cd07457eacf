#include "base/named_error.h"

#include <fmt/format.h>

namespace pgduet {
namespace {

constexpr char kNameUrl[] = "pgduet/name";
constexpr char kRemedyUrl[] = "pgduet/remedy";
constexpr char kSqlStateUrl[] = "pgduet/sqlstate";

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

void SetPayload(absl::Status& status, const char* url, std::string_view value) {
  if (!value.empty()) status.SetPayload(url, absl::Cord(View(value)));
}

std::string GetPayload(const absl::Status& status, const char* url) {
  const auto payload = status.GetPayload(url);
  return payload ? std::string(*payload) : std::string();
}

absl::Status Rebuilt(const absl::Status& status, absl::StatusCode code, std::string_view message) {
  absl::Status rebuilt(code, View(message));
  status.ForEachPayload(
      [&](absl::string_view url, const absl::Cord& value) { rebuilt.SetPayload(url, value); });
  return rebuilt;
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

}  // namespace

absl::Status NamedError(absl::StatusCode code, std::string_view name, std::string_view what,
                        std::string_view remedy) {
  absl::Status status(code, View(what));
  SetPayload(status, kNameUrl, name);
  SetPayload(status, kRemedyUrl, remedy);
  return status;
}

std::string ErrorName(const absl::Status& status) {
  if (status.ok()) return "ok";
  std::string name = GetPayload(status, kNameUrl);
  return name.empty() ? "internal" : name;
}

std::string ErrorRemedy(const absl::Status& status) { return GetPayload(status, kRemedyUrl); }

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  return Rebuilt(status, status.code(), fmt::format("{}: {}", context, Message(status)));
}

absl::Status Renamed(const absl::Status& status, absl::StatusCode code, std::string_view name,
                     std::string_view remedy) {
  absl::Status renamed = Rebuilt(status, code, Message(status));
  SetPayload(renamed, kNameUrl, name);
  SetPayload(renamed, kRemedyUrl, remedy);
  return renamed;
}

std::string SqlState(const absl::Status& status) { return GetPayload(status, kSqlStateUrl); }

void SetSqlState(absl::Status& status, std::string_view sqlstate) {
  SetPayload(status, kSqlStateUrl, sqlstate);
}

}  // namespace pgduet
