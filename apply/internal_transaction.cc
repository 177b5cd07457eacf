#include "apply/internal_transaction.h"

#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {

absl::Status BeginInternal(PgPipeline& pipeline, const RegionIdentity& identity) {
  PGDUET_RETURN_IF_ERROR(pipeline.Add("BEGIN", {}).status());
  return pipeline
      .Add("SELECT pg_logical_emit_message(true, $1, $2::text)",
           {identity.messages.marker, EncodeMarker({.rank = kInternalRank, .position = {}})})
      .status();
}

}  // namespace pgduet
