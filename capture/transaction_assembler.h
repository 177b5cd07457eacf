// Builds transactions from decoded messages, chunk by chunk, and sorts out whose they are.
//
// A transaction of ours (replication origin "pgduet:<group>:<set>:..." and the marker as its first
// statement) is not handed on: its marker is. Of one that another set of tables has applied nothing
// is: it is the business of that set's slot. Everything else is handed on as chunks of about
// kChunkBytesTarget; only one chunk is in memory. Empty transactions give no chunk. One thread; no
// I/O.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <absl/container/flat_hash_map.h>
#include <absl/status/statusor.h>

#include "capture/applied_marker.h"
#include "capture/local_observer.h"
#include "capture/pgoutput_decoder.h"
#include "schemas/change.h"

namespace pgduet {

class AssemblerSink {
 public:
  virtual ~AssemblerSink() = default;
  // A transaction of this database begins to have changes.
  virtual absl::Status TransactionBegins(const LocalTransaction& transaction) = 0;
  // `end_lsn` is valid in the last chunk only.
  virtual absl::Status Chunk(const LocalTransaction& transaction, ChangeBatch batch, bool last,
                             Lsn end_lsn) = 0;
  // A transaction of ours was passed: what it applied is in effect from here on.
  virtual void Applied(const AppliedMarker& marker) = 0;
  virtual void Barrier(std::string_view token) = 0;
  // No later transaction has a commit time at or below this one.
  virtual void TimeClosed(CommitTime time) = 0;
  // The agent of this database says something about a change of policies, at this place.
  virtual absl::Status PolicyNoticed(std::string_view notice) = 0;
  // Any transaction is over, published or not.
  virtual void TransactionEnds(Lsn end_lsn) = 0;
};

class TransactionAssembler {
 public:
  using TypeNames = std::function<std::string(uint32_t oid)>;
  TransactionAssembler(std::string_view group, std::string_view set, TypeNames type_names,
                       AssemblerSink& sink)
      : owners_(group, set), prefixes_(set), type_names_(std::move(type_names)), sink_(sink) {}

  absl::Status Take(const PgoutputMessage& message);
  bool in_transaction() const { return transaction_.has_value(); }

 private:
  absl::Status On(const PgoutputBegin& begin);
  absl::Status On(const PgoutputCommit& commit);
  absl::Status On(const PgoutputOrigin& origin);
  absl::Status On(const PgoutputRelation& relation);
  absl::Status On(const PgoutputType& type);
  absl::Status On(const PgoutputInsert& insert);
  absl::Status On(const PgoutputUpdate& update);
  absl::Status On(const PgoutputDelete& gone);
  absl::Status On(const PgoutputTruncate& truncate);
  absl::Status On(const PgoutputMessageText& message);

  // OK and true when the change is to be added; makes room by handing on a full chunk.
  absl::StatusOr<bool> BeforeChange();
  // The rows that the change has are given: they must have the relation's columns.
  absl::StatusOr<uint32_t> RelationIndex(uint32_t oid, const std::vector<Value>* old_row,
                                         const std::vector<Value>* new_row);
  absl::Status CheckMarked() const;
  void AddRow(const std::vector<Value>& row, uint32_t& begin, uint32_t& count);
  void AddChange(Change change);

  const OriginOwners owners_;
  const MessagePrefixes prefixes_;
  const TypeNames type_names_;
  AssemblerSink& sink_;
  absl::flat_hash_map<uint32_t, std::shared_ptr<const Relation>> relations_;
  absl::flat_hash_map<uint32_t, std::string> user_types_;

  std::optional<LocalTransaction> transaction_;
  OriginOwner owner_ = OriginOwner::kOthers;
  std::optional<AppliedMarker> marker_;
  bool begun_ = false;  // TransactionBegins was called
  ChangeBatch batch_;
  absl::flat_hash_map<const Relation*, uint32_t> batch_relations_;
  size_t batch_bytes_ = 0;
};

}  // namespace pgduet
