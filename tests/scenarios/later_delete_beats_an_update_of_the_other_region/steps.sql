-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- pause
-- at b
UPDATE item SET note = 'updated before the delete' WHERE id = 1;
-- at a
DELETE FROM item WHERE id = 1;
-- flow
