-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- pause
-- at b
DELETE FROM item WHERE id = 1;
-- at a
DELETE FROM item WHERE id = 1;
-- flow
