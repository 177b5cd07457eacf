-- at a
INSERT INTO item VALUES (1, 'first'), (2, 'first');
-- wait
-- pause
-- at a
BEGIN;
DELETE FROM item WHERE id IN (1, 2);
INSERT INTO item VALUES (1, 'older than the delete'), (2, 'older than the delete');
COMMIT;
-- at b
DELETE FROM item WHERE id IN (1, 2);
-- flow
-- wait
-- true at b
SELECT count(*) = 0 FROM item;
-- at a
INSERT INTO item VALUES (1, 'newer than the delete');
