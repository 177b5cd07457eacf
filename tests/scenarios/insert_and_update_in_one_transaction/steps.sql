-- at a
BEGIN;
INSERT INTO item VALUES (1, 'inserted'), (2, 'inserted');
UPDATE item SET note = 'updated' WHERE id = 1;
UPDATE item SET note = 'updated' WHERE id = 2;
COMMIT;
