-- at a
INSERT INTO item VALUES (1, 'from a');
-- wait
-- at a
UPDATE item SET note = 'updated' WHERE id = 1;
