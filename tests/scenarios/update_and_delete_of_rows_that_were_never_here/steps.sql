-- at a
UPDATE item SET note = 'updated' WHERE id = 1;
DELETE FROM item WHERE id = 2;
INSERT INTO item VALUES (3, 'later');
