-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- at b
UPDATE item SET note = 'from b' WHERE id = 1;
-- wait
-- at a
DELETE FROM item WHERE id = 1;
