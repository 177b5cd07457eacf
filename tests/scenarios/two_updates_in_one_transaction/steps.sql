-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- at a
BEGIN;
UPDATE item SET note = 'second' WHERE id = 1;
UPDATE item SET note = 'third' WHERE id = 1;
COMMIT;
