// The secondary unique keys of a table, and the SQL that finds the rows which collide with a row on
// one of them: plain, partial and over expressions, with the index's own operators and collations.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "apply/pg_pipeline.h"
#include "apply/target_table.h"

namespace pgduet {

struct UniqueKey {
  std::string name;
  std::vector<std::string> expressions;
  std::vector<std::string> operators;  // OPERATOR(schema.=), one an expression
  std::string predicate;               // of a partial index; empty: none
  bool nulls_equal = false;            // NULLS NOT DISTINCT
};

// All but the key by which pgduet knows the rows. Asks the catalog.
absl::StatusOr<std::vector<UniqueKey>> LoadUniqueKeys(PgPipeline& pipeline, Oid table);

// "FROM ... WHERE ...": rows t of the table, under other keys, that collide with the row that
// `candidate` (a SELECT with the table's column names) gives.
std::string CollidersOf(const TargetTable& table, const UniqueKey& key,
                        const std::string& candidate);

// Such a SELECT over parameters $1 and on; columns that are not carried are NULL.
std::string CandidateOfParameters(const TargetTable& table, const std::vector<int>& carried);
// Over pgduet.parked p.
std::string CandidateOfParked(const TargetTable& table);

}  // namespace pgduet
