#include "agent/policy_changer.h"

#include <utility>

#include <absl/time/clock.h>
#include <fmt/format.h>

#include "agent/names.h"
#include "agent/policy_set.h"
#include "agent/policy_text.h"
#include "apply/policy_notices.h"
#include "base/log.h"
#include "base/named_error.h"
#include "capture/applied_marker.h"

namespace pgduet {
namespace {

// Writers wait while the lock waits: not longer than that, and then they get a second.
constexpr char kFenceLock[] = "SET LOCAL lock_timeout = '1s'";
constexpr absl::Duration kFencePause = absl::Seconds(1);

constexpr char kOwnSql[] =
    "SELECT id, state, change, announced, abort_wanted, discard_siblings, "
    "clock_timestamp() > state_at + patience, from_hash, to_hash, coalesce(fence_xid::text, '0'), "
    "policy_text, policy_settings, reason FROM pgduet.policy_change "
    "WHERE state IN ('proposed', 'going', 'fenced', 'voted')";
constexpr char kNumbersSql[] =
    "SELECT greatest((SELECT max(change) FROM pgduet.policy_change), (SELECT change FROM "
    "pgduet.policy_notice WHERE rank = $1::smallint AND kind = 'refuse'), 0), "
    "greatest((SELECT max(change) FROM pgduet.policy_change), (SELECT max(change) FROM "
    "pgduet.policy_notice), (SELECT change FROM pgduet.policy_set), 0), "
    "(SELECT last_value FROM pgduet.policy_gate)";
// Overdue as this region sees it: the patience of its own open change, else half a minute.
constexpr char kNoticesSql[] =
    "SELECT n.rank, n.kind, n.change, n.from_hash, n.to_hash, clock_timestamp() > n.heard_at + "
    "coalesce(c.patience, interval '30 seconds') FROM pgduet.policy_notice n LEFT JOIN "
    "pgduet.policy_change c ON c.state IN ('proposed', 'going', 'fenced', 'voted')";

ChangeState StateNamed(std::string_view name) {
  if (name == "proposed") return ChangeState::kProposed;
  if (name == "going") return ChangeState::kGoing;
  if (name == "fenced") return ChangeState::kFenced;
  return ChangeState::kVoted;
}

uint64_t Hash(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 16);
}

}  // namespace

PolicyChanger::PolicyChanger(std::string conninfo, const RegionIdentity& identity, Config current,
                             PolicyChangeMetrics& metrics)
    : conninfo_(std::move(conninfo)),
      identity_(identity),
      current_(std::move(current)),
      current_hash_(PolicyHash(current_)),
      metrics_(metrics) {}

absl::Status PolicyChanger::OpenSession() {
  if (session_ != nullptr) return absl::OkStatus();
  PGDUET_ASSIGN_OR_RETURN(session_, TargetSession::Open(conninfo_, identity_, "policy change",
                                                        OriginName(identity_.group, identity_.set,
                                                                   kPolicyChangeOriginRegion)));
  // What a region says must not be taken back by a crash.
  return session_->Query("SET synchronous_commit = on").status();
}

absl::StatusOr<bool> PolicyChanger::Step(const EnginePlace& engine) {
  const auto step = [&]() -> absl::StatusOr<bool> {
    PGDUET_RETURN_IF_ERROR(OpenSession());
    PGDUET_RETURN_IF_ERROR(Load());
    PGDUET_RETURN_IF_ERROR(LookAround(engine));
    const NextStep next = NextPolicyStep(view_);
    if (next.step == ChangeStep::kSwitch) return true;
    PGDUET_RETURN_IF_ERROR(Do(next));
    return false;
  };
  absl::StatusOr<bool> switches = step();
  if (!switches.ok()) session_.reset();
  return switches;
}

absl::Status PolicyChanger::Load() {
  PgPipeline& pipeline = session_->pipeline();
  PGDUET_RETURN_IF_ERROR(pipeline.Add(kOwnSql, {}).status());
  PGDUET_RETURN_IF_ERROR(pipeline.Add(kNumbersSql, {std::to_string(identity_.rank)}).status());
  PGDUET_RETURN_IF_ERROR(pipeline.Add(kNoticesSql, {}).status());
  PGDUET_ASSIGN_OR_RETURN(const std::vector<PgResult> results, pipeline.Run());
  const PgResult &own = results[0], &numbers = results[1];
  own_.reset();
  view_ = {.self = identity_.rank, .regions = identity_.regions};
  view_.handled = static_cast<uint64_t>(numbers.Int(0, 0));
  newest_change_ = static_cast<uint64_t>(numbers.Int(0, 1));
  PGDUET_RETURN_IF_ERROR(LoadNotices(results[2], view_.peers));
  if (own.rows() > 0) {
    own_ = OwnChange{.id = own.Int(0, 0),
                     .discard_siblings = own.Bool(0, 5),
                     .fence_xid = std::string(own.Text(0, 9)),
                     .policy_text = std::string(own.Text(0, 10)),
                     .policy_settings = std::string(own.Text(0, 11)),
                     .reason = std::string(own.Text(0, 12))};
    view_.state = StateNamed(own.Text(0, 1));
    view_.change = static_cast<uint64_t>(own.Int(0, 2));
    view_.announced = own.Bool(0, 3);
    view_.abort_wanted = own.Bool(0, 4);
    view_.overdue = own.Bool(0, 6);
    view_.from = Hash(own.Text(0, 7));
    view_.to = Hash(own.Text(0, 8));
  }
  const bool closed = numbers.Int(0, 2) == 2;
  const bool to_be_closed =
      view_.state == ChangeState::kFenced || view_.state == ChangeState::kVoted;
  metrics_.Gate(closed);
  // An agent ended between the end of a change and this.
  return closed && !to_be_closed ? OpenGate() : absl::OkStatus();
}

absl::Status PolicyChanger::LoadNotices(const PgResult& rows,
                                        std::map<Rank, RegionNotices>& peers) {
  for (int row = 0; row < rows.rows(); ++row) {
    RegionNotices& peer = peers[static_cast<Rank>(rows.Int(row, 0))];
    const std::string_view kind = rows.Text(row, 1);
    const auto change = static_cast<uint64_t>(rows.Int(row, 2));
    if (kind == "propose") {
      peer.proposes_from = Hash(rows.Text(row, 3));
      peer.proposes_to = Hash(rows.Text(row, 4));
      peer.proposes_after = change;
    } else if (kind == "go") {
      peer.go = change;
      peer.go_from = Hash(rows.Text(row, 3));
      peer.go_to = Hash(rows.Text(row, 4));
      peer.go_overdue = rows.Bool(row, 5);
    } else if (kind == "fenced") {
      peer.fenced = change;
    } else if (kind == "refuse") {
      peer.refused = change;
    } else if (kind == "commit") {
      peer.committed = change;
    } else if (kind == "abort") {
      peer.aborted = change;
    }
  }
  return absl::OkStatus();
}

absl::Status PolicyChanger::LoadTarget() {
  if (target_ && target_->id == own_->id) return absl::OkStatus();
  target_.reset();
  fence_ = mark_ = Lsn();
  Target target{.id = own_->id, .config = {}, .tables = {}, .oids = "{"};
  PGDUET_ASSIGN_OR_RETURN(target.config,
                          WithPolicySettings(current_, own_->policy_settings, own_->policy_text));
  target.tables = ChangedTables(current_, target.config);
  for (const TableConfig& table : target.tables) {
    PGDUET_ASSIGN_OR_RETURN(const PgResult oid,
                            session_->Query("SELECT $1::regclass::oid", {table.QuotedName()}));
    target.oids += (target.oids.size() == 1 ? "" : ",") + std::string(oid.Text(0, 0));
  }
  target.oids += "}";
  target_ = std::move(target);
  return absl::OkStatus();
}

absl::StatusOr<bool> PolicyChanger::Holds(const std::string& sql,
                                          const std::vector<PgParameter>& parameters) {
  PGDUET_ASSIGN_OR_RETURN(const PgResult row, session_->Query("SELECT " + sql, parameters));
  return row.Bool(0, 0);
}

absl::Status PolicyChanger::LookAround(const EnginePlace& engine) {
  if (!own_) return absl::OkStatus();
  PGDUET_RETURN_IF_ERROR(LoadTarget());
  const RegionNotices& coordinator = view_.peers[kPolicyCoordinator];
  for (const auto& [rank, near] : engine.caught_up) {
    const uint64_t fenced = view_.peers[rank].fenced;
    const bool has_mark =
        fenced > view_.handled || (coordinator.go != 0 && fenced == coordinator.go);
    if (!near && !has_mark)
      view_.behind += (view_.behind.empty() ? "" : ", ") + identity_.regions[rank];
  }
  if (view_.state == ChangeState::kFenced || view_.state == ChangeState::kVoted) {
    // After a restart of the agent: somewhat later will do.
    if (!fence_.valid()) {
      PGDUET_ASSIGN_OR_RETURN(const PgResult wal,
                              session_->Query("SELECT pg_current_wal_flush_lsn()"));
      PGDUET_ASSIGN_OR_RETURN(fence_, Lsn::Parse(wal.Text(0, 0)));
      mark_ = fence_;
    }
    view_.noted = engine.decoded >= fence_;
    view_.durable = engine.durable >= mark_;
  }
  if (view_.state == ChangeState::kFenced) {
    PGDUET_ASSIGN_OR_RETURN(view_.swept,
                            Holds("NOT EXISTS (SELECT FROM pgduet.tombstone WHERE relation = "
                                  "ANY($1::oid[]) AND unswept IS NOT NULL AND unswept < $2::xid8)",
                                  {target_->oids, own_->fence_xid}));
  }
  PGDUET_ASSIGN_OR_RETURN(
      view_.parked,
      Holds("EXISTS (SELECT FROM pgduet.parked WHERE relation = ANY($1::oid[]))", {target_->oids}));
  const bool decides = identity_.rank == kPolicyCoordinator &&
                       (view_.state == ChangeState::kGoing || view_.state == ChangeState::kFenced);
  if (decides && !own_->discard_siblings) {
    PGDUET_ASSIGN_OR_RETURN(view_.undecided,
                            Holds("EXISTS (SELECT FROM pgduet.row_state WHERE siblings AND "
                                  "relation = ANY($1::oid[]))",
                                  {target_->oids}));
  }
  return absl::OkStatus();
}

absl::Status PolicyChanger::Do(const NextStep& next) {
  switch (next.step) {
    case ChangeStep::kWait:
      return NoteReason(next.reason);
    case ChangeStep::kAnnounce:
      return Say(PolicyNoticeKind::kPropose, next.change, "proposed", "");
    case ChangeStep::kWithdraw:
      return Say(PolicyNoticeKind::kWithdraw, next.change, "aborted", next.reason);
    case ChangeStep::kGo:
      return Say(PolicyNoticeKind::kGo, newest_change_ + 1, "going", "");
    case ChangeStep::kFence:
      return Fence(next.change);
    case ChangeStep::kVote:
      return Vote(next.change);
    case ChangeStep::kRefuse:
      return Say(PolicyNoticeKind::kRefuse, next.change, "aborted", next.reason);
    case ChangeStep::kAbort:
      return Say(PolicyNoticeKind::kAbort, next.change, "aborted", next.reason);
    case ChangeStep::kEnd:
      return End(next.change, next.reason);
    case ChangeStep::kSwitch:
      break;
  }
  return absl::OkStatus();
}

absl::Status PolicyChanger::NoteReason(const std::string& reason) {
  if (!own_ || own_->reason == reason) return absl::OkStatus();
  return session_
      ->Query("UPDATE pgduet.policy_change SET reason = $2 WHERE id = $1::bigint",
              {std::to_string(own_->id), reason})
      .status();
}

absl::Status PolicyChanger::CheckGates() {
  PGDUET_ASSIGN_OR_RETURN(
      const bool there,
      Holds("NOT EXISTS (SELECT FROM unnest($1::oid[]) o WHERE NOT EXISTS (SELECT FROM "
            "pg_catalog.pg_trigger t WHERE t.tgrelid = o AND t.tgname = 'pgduet_policy_gate' AND "
            "t.tgenabled = 'O'))",
            {target_->oids}));
  if (there) return absl::OkStatus();
  return NamedError(absl::StatusCode::kFailedPrecondition, "policy_gate_missing",
                    "a table whose policy is to change has no trigger pgduet_policy_gate",
                    "Run 'pgduet policy apply' with the same file again in this region: it makes "
                    "the triggers.");
}

// The lock waits for the writers that have begun; those that come wait for it, and then at the
// gate. It is held until the state is committed: no write falls in between.
absl::Status PolicyChanger::Fence(uint64_t change) {
  if (absl::Now() < fence_due_) return absl::OkStatus();
  fence_due_ = absl::Now() + kFencePause;
  std::string tables;
  for (const TableConfig& table : target_->tables)
    tables += (tables.empty() ? "" : ", ") + table.QuotedName();
  PGDUET_RETURN_IF_ERROR(session_->Query("BEGIN").status());
  PGDUET_RETURN_IF_ERROR(session_->Query(kFenceLock).status());
  PGDUET_RETURN_IF_ERROR(
      session_->Query("LOCK TABLE " + tables + " IN SHARE ROW EXCLUSIVE MODE").status());
  PGDUET_RETURN_IF_ERROR(CheckGates());
  PGDUET_RETURN_IF_ERROR(
      session_->Query("SELECT setval(tableoid::regclass, 2) FROM pgduet.policy_gate").status());
  PGDUET_RETURN_IF_ERROR(
      session_
          ->Query("UPDATE pgduet.policy_change SET state = 'fenced', change = $2::bigint, "
                  "fence_xid = pg_current_xact_id(), reason = '', state_at = CASE state WHEN "
                  "'going' THEN state_at ELSE clock_timestamp() END WHERE id = $1::bigint",
                  {std::to_string(own_->id), std::to_string(change)})
          .status());
  PGDUET_RETURN_IF_ERROR(Commit());
  fence_ = mark_;
  metrics_.Gate(true);
  LogInfo("policy", "gate closed", {{"change", std::to_string(change)}});
  return absl::OkStatus();
}

// Commits, and notes where.
absl::Status PolicyChanger::Commit() {
  PGDUET_RETURN_IF_ERROR(session_->Query("COMMIT").status());
  PGDUET_ASSIGN_OR_RETURN(const PgResult wal, session_->Query("SELECT pg_current_wal_flush_lsn()"));
  PGDUET_ASSIGN_OR_RETURN(mark_, Lsn::Parse(wal.Text(0, 0)));
  return absl::OkStatus();
}

// Local writes are noted by now, with all rows that this database's own clock has stamped for them.
absl::Status PolicyChanger::Vote(uint64_t change) {
  PGDUET_ASSIGN_OR_RETURN(const CommitTime clock, session_->Clock());
  const bool decides = identity_.rank == kPolicyCoordinator;
  return Say(decides ? PolicyNoticeKind::kCommit : PolicyNoticeKind::kFenced, change, "voted", "",
             clock);
}

absl::Status PolicyChanger::Say(PolicyNoticeKind kind, uint64_t change, const std::string& state,
                                const std::string& reason, CommitTime clock) {
  const PolicyNotice notice{.kind = kind,
                            .change = change,
                            .from = own_ ? view_.from : current_hash_,
                            .to = own_ ? view_.to : current_hash_,
                            .clock = clock};
  PGDUET_RETURN_IF_ERROR(session_->Query("BEGIN").status());
  PGDUET_RETURN_IF_ERROR(session_
                             ->Query("SELECT pg_logical_emit_message(true, $1, $2::text)",
                                     {identity_.messages.policy, EncodePolicyNotice(notice)})
                             .status());
  PGDUET_RETURN_IF_ERROR(StoreNotice(*session_, identity_.rank, notice));
  // A proposal's number is that of an earlier change.
  const bool numbered = kind != PolicyNoticeKind::kPropose && kind != PolicyNoticeKind::kWithdraw;
  if (own_) {
    PGDUET_RETURN_IF_ERROR(
        session_
            ->Query(
                "UPDATE pgduet.policy_change SET announced = true, state = $2, change = "
                "greatest(change, $3::bigint), reason = $4, state_at = clock_timestamp() WHERE "
                "id = $1::bigint",
                {std::to_string(own_->id), state, std::to_string(numbered ? change : 0), reason})
            .status());
  }
  PGDUET_RETURN_IF_ERROR(Commit());
  LogInfo("policy", "told the other regions",
          {{"kind", std::string(PolicyNoticeName(kind))},
           {"change", std::to_string(change)},
           {"reason", reason}});
  if (state != "aborted") return absl::OkStatus();
  if (own_) metrics_.Aborted();
  return OpenGate();
}

absl::Status PolicyChanger::End(uint64_t change, const std::string& reason) {
  PGDUET_RETURN_IF_ERROR(
      session_
          ->Query("UPDATE pgduet.policy_change SET state = 'aborted', change = $2::bigint, reason "
                  "= $3, state_at = clock_timestamp() WHERE id = $1::bigint",
                  {std::to_string(own_->id), std::to_string(change), reason})
          .status());
  LogInfo("policy", "change aborted", {{"change", std::to_string(change)}, {"reason", reason}});
  metrics_.Aborted();
  return OpenGate();
}

absl::Status PolicyChanger::OpenGate() {
  PGDUET_RETURN_IF_ERROR(
      session_->Query("SELECT setval(tableoid::regclass, 1) FROM pgduet.policy_gate").status());
  metrics_.Gate(false);
  return absl::OkStatus();
}

}  // namespace pgduet
