-- The sidecar schema: everything that pgduet keeps in the user's database. Owned by the agent's role, readable by
-- nobody else (rows of user tables stand in pgduet.conflict and pgduet.tombstone). Idempotent: `pgduet init` runs it each time.
-- docs/architecture.md says who writes what, when.

-- The schema itself is made by `init`, which may need other rights for it.

-- Who this database is. One row.
CREATE TABLE IF NOT EXISTS pgduet.identity (
  singleton           boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  schema_version      integer NOT NULL,
  group_name          text NOT NULL,
  set_name            text NOT NULL,
  region              text NOT NULL,
  rank                smallint NOT NULL,
  incarnation         text NOT NULL,        -- 16 hex digits; new with each slot creation
  system_identifier   text NOT NULL,
  timeline            integer NOT NULL,
  baseline_lsn        pg_lsn NOT NULL,      -- the slot's consistent point: what committed before was never published
  baseline_snapshot   pg_snapshot NOT NULL, -- the same as a snapshot: rows that it sees are older than everything
  writer_epoch        bigint NOT NULL DEFAULT 0,  -- runs of the agent; the newest writer of the topic wins
  created_at          timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- The canonical policies of the agent's last start: with `direct` its peers compare them with theirs.
ALTER TABLE pgduet.identity ADD COLUMN IF NOT EXISTS policy_text text NOT NULL DEFAULT '';

-- The regions of the group, by rank (their order in the configuration).
CREATE TABLE IF NOT EXISTS pgduet.region (
  rank smallint PRIMARY KEY,
  name text NOT NULL UNIQUE
);

-- One row for each apply transaction, written by it: what is in effect here, and where to read on.
-- Insert-only, so that a snapshot held open by somebody does not make a hot row's version chain grow; old rows are removed
-- behind the newest. xid is the apply transaction's own: the rows that it wrote carry it as xmin.
CREATE TABLE IF NOT EXISTS pgduet.progress (
  origin_rank  smallint NOT NULL,
  incarnation  text NOT NULL,
  sequence     bigint NOT NULL,
  commit_lsn   pg_lsn NOT NULL,
  commit_time  timestamptz NOT NULL,
  through_lsn  pg_lsn NOT NULL,             -- everything of the origin's WAL before it is in effect, too
  log_offset   bigint NOT NULL,             -- of the transaction's last record
  vector       text NOT NULL,               -- the origin's applied vector at that transaction
  xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  applied_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (origin_rank, sequence)
);

-- The last heartbeat of each peer that was read after everything before it was applied.
CREATE TABLE IF NOT EXISTS pgduet.heartbeat (
  origin_rank  smallint PRIMARY KEY,
  incarnation  text NOT NULL,
  through_lsn  pg_lsn NOT NULL,
  vector       text NOT NULL,
  log_offset   bigint NOT NULL,
  sent_at      timestamptz NOT NULL,
  received_at  timestamptz NOT NULL
);

-- How far the local WAL has been searched for deletes; written together with their tombstones.
CREATE TABLE IF NOT EXISTS pgduet.local_progress (
  singleton        boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  decoded_through  pg_lsn NOT NULL
);

-- Samples (lsn, xid): every transaction below xid had ended before lsn. Coverage of local rows after a restart.
CREATE TABLE IF NOT EXISTS pgduet.horizon (
  lsn         pg_lsn PRIMARY KEY,
  xid         xid8 NOT NULL,
  sampled_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Versions of deleted rows, until stable. key_digest is a 128-bit hash of the key's canonical text; a truncate of the
-- whole table has an empty key.
CREATE TABLE IF NOT EXISTS pgduet.tombstone (
  relation     oid NOT NULL,
  key_digest   uuid NOT NULL,
  key          text NOT NULL,
  commit_time  timestamptz NOT NULL,
  rank         smallint NOT NULL,
  incarnation  text NOT NULL,
  commit_lsn   pg_lsn NOT NULL,
  -- Version 2. Not null: a remote delete that may have missed a row; the transaction that marked it. Null once swept.
  unswept      xid8,
  vector       text,                        -- of the marked delete; null: that of pgduet.progress where xid = unswept
  PRIMARY KEY (relation, key_digest)
);
ALTER TABLE pgduet.tombstone ADD COLUMN IF NOT EXISTS unswept xid8, ADD COLUMN IF NOT EXISTS vector text;
CREATE INDEX IF NOT EXISTS tombstone_by_origin ON pgduet.tombstone (rank, commit_lsn);
CREATE INDEX IF NOT EXISTS tombstone_unswept ON pgduet.tombstone (unswept) WHERE unswept IS NOT NULL;

-- Every meeting of a remote change with a local version that it did not cover.
CREATE TABLE IF NOT EXISTS pgduet.conflict (
  id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  logged_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
  table_schema      text NOT NULL,
  table_name        text NOT NULL,
  key_digest        uuid NOT NULL,
  key               jsonb,                  -- null: the whole table (truncate)
  kind              text NOT NULL,
  policy            text NOT NULL,
  decision          text NOT NULL,
  remote_operation  text NOT NULL,
  remote_row        jsonb,
  remote_region     text NOT NULL,
  remote_time       timestamptz NOT NULL,
  remote_lsn        pg_lsn,
  remote_incarnation text,
  remote_sequence   bigint,
  local_operation   text,                   -- row, or delete when a tombstone stood there; null: nothing was known
  local_row         jsonb,
  local_region      text,
  local_time        timestamptz,
  local_lsn         pg_lsn                  -- null when the row's stamp does not tell
);
CREATE INDEX IF NOT EXISTS conflict_by_time ON pgduet.conflict (logged_at);
CREATE INDEX IF NOT EXISTS conflict_by_key ON pgduet.conflict (key_digest);
CREATE INDEX IF NOT EXISTS conflict_by_table ON pgduet.conflict (table_schema, table_name, id);

-- Version 3: rows that lost a value of a secondary unique key to a row that is shown (on_unique: park_loser). They count as
-- live rows with their own version. Key and row are exact texts, column by column.
CREATE TABLE IF NOT EXISTS pgduet.parked (
  relation      oid NOT NULL,
  key_digest    uuid NOT NULL,
  key           text NOT NULL,
  columns       text[] NOT NULL,
  row_values    text[] NOT NULL,
  commit_time   timestamptz NOT NULL,        -- the row's version; -infinity: from before the attachment
  rank          smallint NOT NULL,
  row_xid       xid NOT NULL,                -- the local transaction that had written it, for coverage
  constraint_name text NOT NULL,             -- where it collided
  blocked_by    text NOT NULL,               -- the key of the row that was shown then
  parked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (relation, key_digest)
);

CREATE OR REPLACE VIEW pgduet.applied AS
SELECT r.name AS region, r.rank, p.incarnation, p.sequence, p.commit_lsn, p.commit_time, p.log_offset, p.applied_at,
       greatest(p.through_lsn, h.through_lsn) AS through_lsn, h.sent_at AS heartbeat_sent_at, h.received_at AS heartbeat_received_at
FROM pgduet.region r
LEFT JOIN LATERAL (SELECT * FROM pgduet.progress p WHERE p.origin_rank = r.rank
                   ORDER BY p.sequence DESC LIMIT 1) p ON true
LEFT JOIN pgduet.heartbeat h ON h.origin_rank = r.rank
WHERE r.name <> (SELECT region FROM pgduet.identity);

-- Seconds since the newest moment of the peer that is known to be in effect here. Right on idle databases: heartbeats count.
CREATE OR REPLACE VIEW pgduet.lag AS
SELECT region, rank, sequence, commit_lsn,
       extract(epoch FROM clock_timestamp() - greatest(commit_time, heartbeat_sent_at))::float8 AS lag_seconds,
       greatest(commit_time, heartbeat_sent_at) AS in_effect_up_to
FROM pgduet.applied;

-- What this file makes is of this version (schemas/sidecar.h).
UPDATE pgduet.identity SET schema_version = 3 WHERE schema_version < 3;
