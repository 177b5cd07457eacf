-- at a
INSERT INTO first VALUES (1, 'before');
INSERT INTO second VALUES (1, 'before');
INSERT INTO third VALUES (1, 'before');
-- wait
-- # Apply will lock the row of `first` and then wait for this session ...
-- session holder at b
BEGIN;
UPDATE second SET note = 'held' WHERE id = 1;
-- session rival at b
SET deadlock_timeout = '10min';
BEGIN;
UPDATE third SET note = 'rival' WHERE id = 1;
-- at a
BEGIN;
UPDATE first SET note = 'from a' WHERE id = 1;
UPDATE second SET note = 'from a' WHERE id = 1;
UPDATE third SET note = 'from a' WHERE id = 1;
COMMIT;
-- apply blocked at b
-- # ... this one waits for apply; when the first one gives way, apply closes the circle and, as the last to wait, finds it.
-- session rival at b, blocked
UPDATE first SET note = 'rival' WHERE id = 1;
-- session holder at b
ROLLBACK;
-- retries conflict at b
-- session rival at b
ROLLBACK;
