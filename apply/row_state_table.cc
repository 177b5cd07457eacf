#include "apply/row_state_table.h"

#include <algorithm>
#include <numeric>

#include <absl/container/flat_hash_map.h>

#include "base/named_error.h"

namespace pgduet {
namespace {

// An empty state holds the place of a row that nothing is known of.
constexpr char kLockSql[] =
    "INSERT INTO pgduet.row_state AS s (relation, key_digest, key, state, newest) "
    "SELECT $1::oid, d.digest, d.key, '', '{}' FROM unnest($2::uuid[], $3::text[]) AS d (digest, "
    "key) ON CONFLICT (relation, key_digest) DO UPDATE SET relation = excluded.relation "
    "RETURNING replace(s.key_digest::text, '-', ''), s.state";

constexpr char kWriteSql[] =
    "UPDATE pgduet.row_state s SET state = d.state, newest = d.newest::pg_lsn[], siblings = "
    "d.siblings, needed = d.needed FROM unnest($2::uuid[], $3::text[], $4::text[], $5::boolean[], "
    "$6::boolean[]) AS d (digest, state, newest, siblings, needed) WHERE s.relation = $1::oid AND "
    "s.key_digest = d.digest";

std::string LsnArray(const std::vector<Lsn>& lsns) {
  ArrayLiteral array;
  for (const Lsn lsn : lsns) array.Add(lsn.ToString());
  return std::move(array).Finish();
}

}  // namespace

absl::StatusOr<std::vector<KnownRow>> LockRowStates(PgPipeline& pipeline, Oid table,
                                                    const RowShape& shape,
                                                    const std::vector<std::string>& keys) {
  std::vector<KnownRow> rows(keys.size());
  std::vector<std::string> digests;
  absl::flat_hash_map<std::string, size_t> place_of;
  for (size_t place = 0; place < keys.size(); ++place) {
    rows[place].key_text = keys[place];
    digests.push_back(KeyDigest(keys[place]));
    place_of[digests.back()] = place;
  }
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](size_t left, size_t right) { return digests[left] < digests[right]; });
  ArrayLiteral digest_array, key_array;
  for (const size_t place : order) {
    digest_array.Add(digests[place]);
    key_array.Add(keys[place]);
  }
  PGDUET_ASSIGN_OR_RETURN(
      const size_t asked,
      pipeline.Add(kLockSql, {std::to_string(table), std::move(digest_array).Finish(),
                              std::move(key_array).Finish()}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  const PgResult& locked = results[asked];
  const std::vector<std::string> names = shape.Names();
  for (int row = 0; row < locked.rows(); ++row) {
    if (locked.Text(row, 1).empty()) continue;
    const auto at = place_of.find(std::string(locked.Text(row, 0)));
    if (at == place_of.end())
      return NamedError(absl::StatusCode::kInternal, "row_state_damaged",
                        "an entry of pgduet.row_state came back under another digest");
    PGDUET_ASSIGN_OR_RETURN(rows[at->second].state, DecodeRowState(locked.Text(row, 1), names));
  }
  return rows;
}

absl::Status QueueRowStates(PgPipeline& pipeline, Oid table, const RowEngine& engine,
                            const std::vector<KnownRow>& rows, size_t regions) {
  if (rows.empty()) return absl::OkStatus();
  const std::vector<std::string> names = engine.shape().Names();
  ArrayLiteral digests, states, newest, siblings, needed;
  for (const KnownRow& row : rows) {
    digests.Add(KeyDigest(row.key_text));
    states.Add(EncodeRowState(row.state, names));
    newest.Add(LsnArray(row.state.Newest(regions)));
    const bool several = row.state.members.size() > 1;
    siblings.Add(engine.shape().policy.KeepsSiblings() && several ? "t" : "f");
    needed.Add(engine.Settled(row.state, row.row_stands) ? "f" : "t");
  }
  return pipeline
      .Add(kWriteSql,
           {std::to_string(table), std::move(digests).Finish(), std::move(states).Finish(),
            std::move(newest).Finish(), std::move(siblings).Finish(), std::move(needed).Finish()})
      .status();
}

}  // namespace pgduet
