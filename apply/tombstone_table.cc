#include "apply/tombstone_table.h"

#include "apply/postgres_time.h"

namespace pgduet {
namespace {

constexpr char kWriteSql[] =
    "INSERT INTO pgduet.tombstone AS t (relation, key_digest, key, commit_time, rank, incarnation, "
    "commit_lsn, unswept, vector) "
    "SELECT $1::oid, d.digest, d.key, d.time, d.rank, d.incarnation, d.lsn, CASE WHEN $8::boolean "
    "THEN pg_current_xact_id() END, d.vector FROM unnest($2::uuid[], $3::text[], "
    "$4::timestamptz[], $5::smallint[], $6::text[], $7::pg_lsn[], $9::text[]) AS d(digest, key, "
    "time, rank, incarnation, lsn, vector) "
    "ON CONFLICT (relation, key_digest) DO UPDATE SET commit_time = excluded.commit_time, rank = "
    "excluded.rank, "
    "incarnation = excluded.incarnation, commit_lsn = excluded.commit_lsn, vector = "
    "excluded.vector, "
    "unswept = CASE WHEN coalesce(t.unswept, excluded.unswept) IS NOT NULL THEN "
    "pg_current_xact_id() END "
    "WHERE (t.commit_time, t.rank, t.commit_lsn) < (excluded.commit_time, excluded.rank, "
    "excluded.commit_lsn)";

constexpr char kWriteFirstSql[] =
    "INSERT INTO pgduet.tombstone (relation, key_digest, key, commit_time, rank, incarnation, "
    "commit_lsn) SELECT $1::oid, d.digest, d.key, $4::timestamptz, $5::smallint, $6, $7::pg_lsn "
    "FROM unnest($2::uuid[], $3::text[]) AS d(digest, key)";

}  // namespace

absl::Status QueueTombstones(PgPipeline& pipeline, Oid table, const std::vector<KeyDelete>& deletes,
                             Mark mark, const std::vector<std::string>& vectors) {
  ArrayLiteral seen;  // shorter than the others: the rest is null
  for (const std::string& vector : vectors) seen.Add(vector);
  ArrayLiteral digests, keys, times, ranks, incarnations, lsns;
  for (const KeyDelete& one : deletes) {
    digests.Add(KeyDigest(one.key_text));
    keys.Add(one.key_text);
    times.Add(TimestampText(one.version.commit_time));
    ranks.Add(std::to_string(one.version.rank));
    incarnations.Add(IncarnationToString(one.incarnation));
    lsns.Add(one.version.commit_lsn.ToString());
  }
  return pipeline
      .Add(kWriteSql,
           {std::to_string(table), std::move(digests).Finish(), std::move(keys).Finish(),
            std::move(times).Finish(), std::move(ranks).Finish(), std::move(incarnations).Finish(),
            std::move(lsns).Finish(), std::string(mark == Mark::kUnswept ? "true" : "false"),
            std::move(seen).Finish()})
      .status();
}

absl::Status QueueFirstTombstones(PgPipeline& pipeline, Oid table,
                                  const std::vector<KeyDelete>& deletes) {
  if (deletes.empty()) return absl::OkStatus();
  ArrayLiteral digests, keys;
  for (const KeyDelete& one : deletes) {
    digests.Add(KeyDigest(one.key_text));
    keys.Add(one.key_text);
  }
  const KeyDelete& any = deletes.front();
  return pipeline
      .Add(kWriteFirstSql,
           {std::to_string(table), std::move(digests).Finish(), std::move(keys).Finish(),
            TimestampText(any.version.commit_time), std::to_string(any.version.rank),
            IncarnationToString(any.incarnation), any.version.commit_lsn.ToString()})
      .status();
}

KeyDelete DeleteOf(const ApplyUnit& unit, const TargetTable& table, const KeyGroup& group) {
  return {.key = {table.oid, group.key_hash},
          .key_text = group.key_text,
          .version = unit.version(),
          .incarnation = unit.header.incarnation};
}

KeyDelete TruncateOf(const ApplyUnit& unit, const TargetTable& table) {
  return {.key = {table.oid, 0},
          .key_text = {},
          .version = unit.version(),
          .incarnation = unit.header.incarnation};
}

bool NeedsTombstone(const ApplyScope& scope, const TargetTable& table, const KeyGroup& group) {
  return !scope.identity.OnlyTwo() || scope.registry.MayHaveTombstone({table.oid, group.key_hash});
}

absl::Status QueueRemoteTombstone(const ApplyScope& scope, const KeyDelete& one,
                                  const AppliedVector& vector) {
  scope.gate->Write(one.key, one.version);
  return QueueTombstones(scope.pipeline, one.key.table, {one}, Mark::kUnswept,
                         {EncodeVector(vector)});
}

}  // namespace pgduet
