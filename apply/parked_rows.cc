#include "apply/parked_rows.h"

#include <fmt/format.h>

#include "apply/postgres_time.h"
#include "apply/table_sql.h"
#include "base/named_error.h"

namespace pgduet {
namespace {

constexpr char kOver[] =
    "ON CONFLICT (relation, key_digest) DO UPDATE SET key = excluded.key, columns = "
    "excluded.columns, row_values = excluded.row_values, commit_time = excluded.commit_time, rank "
    "= excluded.rank, row_xid = excluded.row_xid, constraint_name = excluded.constraint_name, "
    "blocked_by = excluded.blocked_by, parked_at = clock_timestamp()";
constexpr char kInto[] =
    "INSERT INTO pgduet.parked (relation, key_digest, key, columns, row_values, commit_time, rank, "
    "row_xid, constraint_name, blocked_by)";

std::string Unquoted(std::string_view quoted) {
  std::string name;
  for (size_t at = 1; at + 1 < quoted.size(); ++at) {
    name.push_back(quoted[at]);
    if (quoted[at] == '"') ++at;
  }
  return name;
}

}  // namespace

absl::StatusOr<std::optional<ParkedRow>> ReadParked(PgPipeline& pipeline, Oid table,
                                                    const std::string& key_text) {
  PGDUET_ASSIGN_OR_RETURN(
      const size_t asked,
      pipeline.Add(fmt::format("SELECT {}, rank, row_xid::text, jsonb_object(columns, row_values) "
                               "FROM pgduet.parked WHERE relation = $1::oid AND key_digest = "
                               "$2::uuid FOR UPDATE",
                               MicrosecondsOf("nullif(commit_time, '-infinity')")),
                   {std::to_string(table), KeyDigest(key_text)}, {25, 25}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  const PgResult& row = results[asked];
  if (row.rows() == 0) return std::nullopt;
  ParkedRow parked;
  if (!row.IsNull(0, 0)) parked.version.commit_time = row.Int(0, 0);
  parked.version.rank = static_cast<Rank>(row.Int(0, 1));
  parked.xid = static_cast<uint32_t>(row.Int(0, 2));
  parked.row_json = std::string(row.Text(0, 3));
  return parked;
}

absl::StatusOr<std::vector<PgParameter>> ReadParkedColumns(PgPipeline& pipeline,
                                                           const TargetTable& table,
                                                           const std::string& key_text,
                                                           const std::vector<int>& columns) {
  std::string fields;
  for (const int column : columns) {
    fields += fmt::format("{}jsonb_object(columns, row_values) ->> {}", fields.empty() ? "" : ", ",
                          QuoteText(table.columns[column].name));
  }
  PGDUET_ASSIGN_OR_RETURN(
      const size_t asked,
      pipeline.Add(fmt::format("SELECT {} FROM pgduet.parked WHERE relation = $1::oid AND "
                               "key_digest = $2::uuid",
                               fields),
                   {std::to_string(table.oid), KeyDigest(key_text)}, {25, 25}));
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  const PgResult& row = results[asked];
  std::vector<PgParameter> values;
  for (int place = 0; place < row.columns(); ++place) {
    values.push_back(row.rows() == 0 || row.IsNull(0, place)
                         ? PgParameter::Null()
                         : PgParameter(std::string(row.Text(0, place))));
  }
  return values;
}

absl::Status QueueRemoveParked(PgPipeline& pipeline, Oid table, const std::string& key_text) {
  return pipeline
      .Add("DELETE FROM pgduet.parked WHERE relation = $1::oid AND key_digest = $2::uuid",
           {std::to_string(table), KeyDigest(key_text)}, {25, 25})
      .status();
}

absl::Status QueueRemoveParkedBelow(PgPipeline& pipeline, Oid table,
                                    const std::vector<std::string>& key_texts,
                                    const Version& version) {
  ArrayLiteral digests;
  bool all = false;
  for (const std::string& key_text : key_texts) {
    all |= key_text.empty();
    digests.Add(KeyDigest(key_text));
  }
  return pipeline
      .Add(
          "DELETE FROM pgduet.parked WHERE relation = $1::oid AND ($2::boolean OR key_digest = "
          "ANY($3::uuid[])) AND (commit_time, rank) < ($4::timestamptz, $5::smallint)",
          {std::to_string(table), std::string(all ? "true" : "false"), std::move(digests).Finish(),
           TimestampText(version.commit_time), std::to_string(version.rank)},
          {25, 25, 25, 25, 25})
      .status();
}

absl::Status QueuePark(PgPipeline& pipeline, const TargetTable& table, const std::string& key_text,
                       const std::vector<int>& carried, const std::vector<PgParameter>& values,
                       const Version& version, uint32_t xid, const ParkedBecause& because) {
  ArrayLiteral names, texts;
  for (size_t place = 0; place < carried.size(); ++place) {
    names.Add(table.columns[carried[place]].name);
    if (values[place].c_str() == nullptr) {
      texts.AddNull();
    } else {
      texts.Add(values[place].c_str());
    }
  }
  return pipeline
      .Add(fmt::format("{} VALUES ($1::oid, $2::uuid, $3, $4::text[], $5::text[], $6::timestamptz, "
                       "$7::smallint, coalesce($8::xid, pg_current_xact_id()::xid), $9, $10) {}",
                       kInto, kOver),
           {std::to_string(table.oid), KeyDigest(key_text), key_text, std::move(names).Finish(),
            std::move(texts).Finish(), TimestampText(version.commit_time),
            std::to_string(version.rank),
            xid == 0 ? PgParameter::Null() : PgParameter(std::to_string(xid)), because.constraint,
            because.blocked_by},
           std::vector<Oid>(10, 25))
      .status();
}

absl::Status QueueParkVisible(PgPipeline& pipeline, const TargetTable& table,
                              const std::string& key_text, const Version& version, uint32_t xid,
                              const ParkedBecause& because) {
  std::string names, texts, match;
  const auto add = [&](const std::string& name, const std::string& quoted) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", QuoteText(name));
    texts += fmt::format("{}gone.{}::text", texts.empty() ? "" : ", ", quoted);
  };
  for (const TargetColumn& column : table.columns) add(column.name, column.quoted);
  for (const std::string& quoted : table.elsewhere) add(Unquoted(quoted), quoted);
  int number = 9;
  for (const int key : table.keys)
    match += fmt::format("{}t.{} = ${}", match.empty() ? "" : " AND ", table.columns[key].quoted,
                         number++);
  std::vector<PgParameter> parameters = {std::to_string(table.oid),
                                         KeyDigest(key_text),
                                         key_text,
                                         TimestampText(version.commit_time),
                                         std::to_string(version.rank),
                                         std::to_string(xid),
                                         because.constraint,
                                         because.blocked_by};
  std::vector<Oid> types(parameters.size(), 25);
  for (std::string& part : KeyValues(key_text)) parameters.emplace_back(std::move(part));
  for (const Oid type : ScalarTypes(table, table.keys)) types.push_back(type);
  return pipeline
      .Add(fmt::format("WITH gone AS (DELETE FROM {} t WHERE {} RETURNING t.*) {} SELECT $1::oid, "
                       "$2::uuid, $3, ARRAY[{}]::text[], ARRAY[{}]::text[], $4::timestamptz, "
                       "$5::smallint, $6::xid, $7, $8 FROM gone {}",
                       table.quoted, match, kInto, names, texts, kOver),
           parameters, types)
      .status();
}

}  // namespace pgduet
