-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- pause
-- at a
UPDATE item SET id = 10 WHERE id = 1;
-- at b
UPDATE item SET id = 20 WHERE id = 1;
-- flow
