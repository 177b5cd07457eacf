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
-- Version 3: what people did with an entry, and the transaction that wrote it: the rows that it wrote carry it as xmin.
-- Entries from before have no xid. An entry is open until it is dismissed or undone, unless nothing was lost.
ALTER TABLE pgduet.conflict ADD COLUMN IF NOT EXISTS xid xid8, ADD COLUMN IF NOT EXISTS note text,
  ADD COLUMN IF NOT EXISTS dismissed_at timestamptz, ADD COLUMN IF NOT EXISTS dismissed_by text,
  ADD COLUMN IF NOT EXISTS undone_at timestamptz, ADD COLUMN IF NOT EXISTS undone_by text;
ALTER TABLE pgduet.conflict ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX IF NOT EXISTS conflict_settled ON pgduet.conflict (id) WHERE dismissed_at IS NOT NULL OR undone_at IS NOT NULL;

-- Version 3. Tables whose policy keeps versions: what is known of a row that a write to come may not have seen
-- (resolve/row_state.h). An empty state holds a place. newest: the highest LSN of each rank in the state.
CREATE TABLE IF NOT EXISTS pgduet.row_state (
  relation    oid NOT NULL,
  key_digest  uuid NOT NULL,
  key         text NOT NULL,
  state       text NOT NULL,
  newest      pg_lsn[] NOT NULL,
  siblings    boolean NOT NULL DEFAULT false, -- several versions that the application has to see
  needed      boolean NOT NULL DEFAULT false, -- stays when everybody has seen it: siblings, or merged columns that the row does not show
  PRIMARY KEY (relation, key_digest)
);
CREATE INDEX IF NOT EXISTS row_state_siblings ON pgduet.row_state (relation) WHERE siblings;

-- Version 3. Up to where local writes of those tables are noted in row_state, and what had been applied there.
CREATE TABLE IF NOT EXISTS pgduet.journal_place (
  singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  lsn        pg_lsn NOT NULL,
  chunk      bigint NOT NULL,
  vector     text NOT NULL
);

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

-- Version 4: parents that are gone, or that a child may miss: their children are to be looked at (docs/decisions/0007). Insert-only;
-- the housekeeper removes what is settled. An empty key is the whole table.
CREATE TABLE IF NOT EXISTS pgduet.orphan_check (
  id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  relation     oid NOT NULL,                 -- the parent's table
  key_digest   uuid NOT NULL,
  key          text NOT NULL,
  rank         smallint,                     -- who deleted it, and when; null: not known when it was noted
  commit_time  timestamptz,
  xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  noted_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Version 4: rows of deleted parents as their deletes saw them, for on_orphan: revive_parent; until nobody can need them.
CREATE TABLE IF NOT EXISTS pgduet.deleted_parent (
  relation     oid NOT NULL,
  key_digest   uuid NOT NULL,
  key          text NOT NULL,
  columns      text[] NOT NULL,
  row_values   text[] NOT NULL,
  commit_time  timestamptz NOT NULL,
  rank         smallint NOT NULL,
  PRIMARY KEY (relation, key_digest)
);
-- One entry for each orphan of one delete.
CREATE INDEX IF NOT EXISTS conflict_orphan ON pgduet.conflict (key, table_name) WHERE kind = 'parent_missing';

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

-- For applications: the versions of a row that stand side by side, and how to end that. A role that calls them needs
-- USAGE on the schema pgduet, and SELECT on the table (siblings) or the right to write it (resolve); nothing else here is open to it.

-- Version 3. The key's values as the sidecar's tables have them, from {"column": value, ...}.
CREATE OR REPLACE FUNCTION pgduet.key_values(for_table regclass, key jsonb) RETURNS text[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $function$
DECLARE
  part record;
  value text;
  result text[] := '{}';
BEGIN
  FOR part IN
    SELECT a.attname, format_type(a.atttypid, NULL) AS type_name, b.oid AS base
    FROM (SELECT i.indkey::int2[] AS numbers, i.indnkeyatts FROM pg_index i
          WHERE i.indrelid = for_table AND (i.indisprimary OR i.indisreplident) AND i.indimmediate
          ORDER BY i.indisreplident DESC LIMIT 1) i
    CROSS JOIN LATERAL unnest(i.numbers) WITH ORDINALITY n (attnum, place)
    JOIN pg_attribute a ON a.attrelid = for_table AND a.attnum = n.attnum
    JOIN pg_type t ON t.oid = a.atttypid
    JOIN pg_type b ON b.oid = CASE WHEN t.typbasetype = 0 THEN t.oid ELSE t.typbasetype END
    WHERE n.place <= i.indnkeyatts ORDER BY n.place
  LOOP
    IF NOT key ? part.attname THEN
      RAISE EXCEPTION 'the key of % has a column % that is not given', for_table, part.attname
        USING HINT = 'Give all key columns: {"column": value, ...}.', ERRCODE = 'invalid_parameter_value';
    END IF;
    EXECUTE format(CASE WHEN part.base = 'numeric'::regtype THEN 'SELECT trim_scale($1::%s)::text'
                        WHEN part.base = 'bpchar'::regtype THEN 'SELECT rtrim($1::%s, '' '')'
                        ELSE 'SELECT $1::%s::text' END, part.type_name) INTO value USING key ->> part.attname;
    result := result || value;
  END LOOP;
  RETURN result;
END $function$;

-- Version 3. All live versions of a row, the newest first: one, unless the table's policy keeps versions and several regions have written
-- it without having seen each other.
CREATE OR REPLACE FUNCTION pgduet.siblings(for_table regclass, key jsonb)
RETURNS TABLE (region text, written_at timestamptz, deleted boolean, row_data jsonb)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
#variable_conflict use_column
DECLARE
  wanted text[] := pgduet.key_values(for_table, key);
  known jsonb;
  columns text;
  match text;
BEGIN
  -- The rights of whoever is logged in count, not those of this function's owner.
  IF NOT has_table_privilege(session_user, for_table, 'SELECT') THEN
    RAISE EXCEPTION 'permission denied for table %', for_table USING ERRCODE = 'insufficient_privilege';
  END IF;
  SELECT s.state::jsonb INTO known FROM pgduet.row_state s
  WHERE s.relation = for_table AND s.key::text[] = wanted AND s.state <> '';
  IF jsonb_array_length(known -> 'members') > 1 THEN
    SELECT string_agg(format('($1 ->> %L)::%s AS %I', a.attname, format_type(a.atttypid, NULL), a.attname), ', ' ORDER BY a.attnum)
    INTO columns FROM pg_attribute a
    WHERE a.attrelid = for_table AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    RETURN QUERY EXECUTE format(
      'SELECT r.name, to_timestamp(0) + (m -> ''dot'' ->> 3)::bigint * interval ''1 microsecond'', '
      'coalesce((m ->> ''deleted'')::boolean, false), '
      'CASE WHEN m ? ''row'' THEN (SELECT to_jsonb(c) FROM (SELECT %s) c) END '
      'FROM jsonb_array_elements($2) m JOIN pgduet.region r ON r.rank = (m -> ''dot'' ->> 0)::int ORDER BY 2 DESC, r.rank DESC',
      replace(columns, '$1', '(m -> ''row'')')) USING NULL::jsonb, known -> 'members';
    RETURN;
  END IF;
  SELECT string_agg(format('t.%I = (jsonb_populate_record(NULL::%s, $1)).%I', k, for_table, k), ' AND ')
  INTO match FROM jsonb_object_keys(key) k;
  RETURN QUERY EXECUTE format(
    'SELECT coalesce(r.name, (SELECT i.region FROM pgduet.identity i)), (pg_xact_commit_timestamp_origin(t.xmin)).timestamp, false, to_jsonb(t) '
    'FROM %s t LEFT JOIN pg_replication_origin o ON o.roident = (pg_xact_commit_timestamp_origin(t.xmin)).roident '
    'LEFT JOIN pgduet.region r ON o.roname LIKE ''pgduet:%%:'' || r.name WHERE %s', for_table, match) USING key;
END $function$;

-- Version 3. Writes the row as an ordinary write of the caller: it has seen all versions, so it takes their place everywhere. NULL deletes.
CREATE OR REPLACE FUNCTION pgduet.resolve(for_table regclass, key jsonb, new_row jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
  match text;
  assignments text;
  names text;
  touched bigint;
BEGIN
  PERFORM pgduet.key_values(for_table, key);  -- all key columns are there
  SELECT string_agg(format('t.%I = (jsonb_populate_record(NULL::%s, $1)).%I', k, for_table, k), ' AND ')
  INTO match FROM jsonb_object_keys(key) k;
  IF new_row IS NULL THEN
    EXECUTE format('DELETE FROM %s t WHERE %s', for_table, match) USING key;
    RETURN;
  END IF;
  SELECT string_agg(format('%1$I = (jsonb_populate_record(NULL::%2$s, $2)).%1$I', k, for_table), ', '), string_agg(format('%I', k), ', ')
  INTO assignments, names FROM jsonb_object_keys(key || new_row) k;
  EXECUTE format('UPDATE %s t SET %s WHERE %s', for_table, assignments, match) USING key, key || new_row;
  GET DIAGNOSTICS touched = ROW_COUNT;
  IF touched > 0 THEN RETURN; END IF;
  EXECUTE format('INSERT INTO %1$s (%2$s) SELECT %2$s FROM jsonb_populate_record(NULL::%1$s, $1)', for_table, names) USING key || new_row;
END $function$;

-- Version 3. Which rows a truncate had seen cannot be told afterwards; versions of rows could not be decided in the same way everywhere.
CREATE OR REPLACE FUNCTION pgduet.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
  RAISE EXCEPTION 'TRUNCATE of %.% is not possible: its conflict policy in pgduet keeps versions of rows', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING HINT = 'Use DELETE.', ERRCODE = 'object_not_in_prerequisite_state';
END $function$;

-- Version 4. Policies that change while all regions run (docs/decisions/0006-policy-changes-online.md).
-- The settings that policy_text comes from: `defaults` and `tables` of the file, as YAML.
ALTER TABLE pgduet.identity ADD COLUMN IF NOT EXISTS policy_settings text NOT NULL DEFAULT '';

-- Version 4. The set that 'pgduet policy apply' brought, and where in our WAL; absent: the file's set holds.
CREATE TABLE IF NOT EXISTS pgduet.policy_set (
  singleton      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  change         bigint NOT NULL,
  policy_text    text NOT NULL,
  previous_text  text NOT NULL,
  changed        text[] NOT NULL,            -- schema, table, schema, table, ...
  since          pg_lsn NOT NULL,            -- local writes of these tables before it were decided under the previous set
  applied_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Version 4. Changes of policies that this region was told of. One is open at most.
-- proposed -> (coordinator: going ->) fenced -> voted -> applied; before voted, and by the coordinator's word: aborted.
CREATE TABLE IF NOT EXISTS pgduet.policy_change (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  state         text NOT NULL DEFAULT 'proposed' CHECK (state IN ('proposed', 'going', 'fenced', 'voted', 'applied', 'aborted')),
  change        bigint NOT NULL DEFAULT 0,   -- the number that the coordinator gave it, the same everywhere
  announced     boolean NOT NULL DEFAULT false,
  abort_wanted  boolean NOT NULL DEFAULT false,
  discard_siblings boolean NOT NULL DEFAULT false,
  patience      interval NOT NULL,           -- from "go" until it is aborted
  from_hash     text NOT NULL,
  to_hash       text NOT NULL,
  policy_text   text NOT NULL,
  policy_settings text NOT NULL,
  fence_xid     xid8,                        -- of the transaction that closed the gate
  reason        text NOT NULL DEFAULT '',
  proposed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  state_at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX IF NOT EXISTS policy_change_open ON pgduet.policy_change ((true)) WHERE state IN ('proposed', 'going', 'fenced', 'voted');

-- Version 4. The last notice of each kind, of each region (apply/policy_notices.h).
CREATE TABLE IF NOT EXISTS pgduet.policy_notice (
  rank       smallint NOT NULL,
  kind       text NOT NULL,
  change     bigint NOT NULL,
  from_hash  text NOT NULL,
  to_hash    text NOT NULL,
  clock      bigint NOT NULL,
  heard_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (rank, kind)
);

-- Version 4. 1: open, 2: closed. A sequence, because everybody sees its value at once, whatever snapshot they have.
CREATE SEQUENCE IF NOT EXISTS pgduet.policy_gate MINVALUE 1 MAXVALUE 2;

-- Version 4. On tables whose policy is being changed. Apply does not fire it (session_replication_role). Not for long: the
-- transaction may hold locks that the change waits for.
CREATE OR REPLACE FUNCTION pgduet.hold_write() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
  FOR attempt IN 1..100 LOOP
    IF (SELECT last_value FROM pgduet.policy_gate) = 1 THEN
      IF TG_LEVEL = 'STATEMENT' THEN RETURN NULL; END IF;
      IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW;
    END IF;
    PERFORM pg_sleep(0.01);
  END LOOP;
  RAISE EXCEPTION 'the conflict policy of %.% is being changed in all regions', TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING HINT = 'Try the transaction again.', ERRCODE = 'lock_not_available';
END $function$;

-- Version 5. Up to which entry the conflict log was sent to its topic (conflict_log.topic).
CREATE TABLE IF NOT EXISTS pgduet.conflict_topic (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  id        bigint NOT NULL
);

-- Version 6. Of several source transactions in one: which of them wrote which row (apply/batch_members.h). Groups of three and more.
ALTER TABLE pgduet.progress ADD COLUMN IF NOT EXISTS members bytea;

-- What this file makes is of this version (schemas/sidecar.h).
UPDATE pgduet.identity SET schema_version = 6 WHERE schema_version < 6;
