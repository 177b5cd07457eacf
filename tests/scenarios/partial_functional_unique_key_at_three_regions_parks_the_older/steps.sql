-- pause
-- at b
BEGIN;
INSERT INTO customer VALUES (1, 7, 'Ada@example.org', true);
INSERT INTO purchase VALUES (1, 1);
COMMIT;
-- at c
BEGIN;
INSERT INTO customer VALUES (2, 7, 'ada@example.org', true);
INSERT INTO purchase VALUES (2, 2);
COMMIT;
-- # Not in the index:
INSERT INTO customer VALUES (3, 7, 'ADA@example.org', false);
-- flow b to a
-- wait for b at a
-- flow
