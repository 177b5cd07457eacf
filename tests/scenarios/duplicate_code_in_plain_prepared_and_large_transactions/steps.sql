-- at a
BEGIN;
INSERT INTO item VALUES (11, 'one');
INSERT INTO item VALUES (12, 'more');
COMMIT;
-- stops unique_violation at b
-- true at b
SELECT count(*) = 0 FROM item WHERE id > 3;
-- at b
UPDATE item SET code = 'one of b' WHERE id = 1;
-- wait
-- at a
BEGIN;
INSERT INTO item VALUES (21, 'still more');
INSERT INTO item VALUES (22, 'two');
PREPARE TRANSACTION 'scenario 46';
COMMIT PREPARED 'scenario 46';
-- stops unique_violation at b
-- true at b
SELECT count(*) = 0 FROM item WHERE id > 20;
-- at b
UPDATE item SET code = 'two of b' WHERE id = 2;
-- wait
-- at a
BEGIN;
INSERT INTO item SELECT i, repeat('x', 1000) || i FROM generate_series(1001, 2500) i;
INSERT INTO item VALUES (31, 'three');
COMMIT;
-- stops unique_violation at b
-- true at b
SELECT count(*) = 0 FROM item WHERE id > 30;
-- at b
UPDATE item SET code = 'three of b' WHERE id = 3;
-- wait
-- true at b
SELECT count(*) = 1500 FROM item WHERE id > 1000;
-- # Too many to be listed in expected.txt.
-- at a
DELETE FROM item WHERE id > 1000;
INSERT INTO item VALUES (41, 'next');
