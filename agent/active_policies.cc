#include "agent/active_policies.h"

#include <fmt/format.h>

#include "agent/policy_set.h"
#include "agent/policy_text.h"
#include "base/named_error.h"
#include "transport/policy_difference.h"

namespace pgduet {
namespace {

constexpr char kActiveSql[] =
    "SELECT i.policy_text, i.policy_settings, s.previous_text, s.since, c.policy_text "
    "FROM pgduet.identity i LEFT JOIN pgduet.policy_set s ON true LEFT JOIN pgduet.policy_change c "
    "ON c.state IN ('proposed', 'going', 'fenced', 'voted')";

absl::Status FileDiffers(const std::string& file_text, const std::string& active_text) {
  return NamedError(
      absl::StatusCode::kFailedPrecondition, "policy_file_differs",
      fmt::format("the file has other policies than 'pgduet policy apply' has brought: {}",
                  DescribePolicyDifference(file_text, active_text)),
      "Give this agent the file that was applied ('pgduet policy status' shows the set); then "
      "apply "
      "other policies with 'pgduet policy apply FILE'. Other tables: 'pgduet init' with the new "
      "file takes it as it is.");
}

absl::Status LoadChanged(PgConnection& connection, ActivePolicies& active) {
  PGDUET_ASSIGN_OR_RETURN(
      const PgResult rows,
      connection.Query("SELECT changed[n], changed[n + 1] FROM pgduet.policy_set, "
                       "generate_series(1, cardinality(changed), 2) n"));
  for (int row = 0; row < rows.rows(); ++row)
    active.changed.tables.emplace(rows.Text(row, 0), rows.Text(row, 1));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ActivePolicies> LoadActivePolicies(PgConnection& connection, const Config& file,
                                                  bool running) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult row, connection.Query(kActiveSql));
  ActivePolicies active{.config = file};
  const bool came_online = row.rows() > 0 && !row.IsNull(0, 2);
  const bool is_open = row.rows() > 0 && !row.IsNull(0, 4);
  if (!came_online && !is_open) return active;
  if (came_online) {
    active.previous_hash = PolicyTextHash(std::string(row.Text(0, 2)));
    PGDUET_ASSIGN_OR_RETURN(active.changed.since, Lsn::Parse(row.Text(0, 3)));
    PGDUET_RETURN_IF_ERROR(LoadChanged(connection, active));
  }
  const std::string file_text = CanonicalPolicyText(file);
  const std::string text(row.Text(0, 0));
  if (file_text == text) return active;
  const bool is_behind = came_online && file_text == row.Text(0, 2);
  const bool is_ahead = is_open && file_text == row.Text(0, 4);
  if (!is_behind && !is_ahead && !running) return FileDiffers(file_text, text);
  PGDUET_ASSIGN_OR_RETURN(active.config,
                          WithPolicySettings(file, std::string(row.Text(0, 1)), text));
  return active;
}

absl::Status StoreActivePolicies(PgConnection& connection, const Config& config) {
  return connection
      .Query("UPDATE pgduet.identity SET policy_text = $1, policy_settings = $2",
             {CanonicalPolicyText(config), PolicySettingsText(config)})
      .status();
}

}  // namespace pgduet
