-- at a
UPDATE item SET note = 'updated at a' WHERE id = 1;
-- at b
UPDATE item SET note = 'updated at b' WHERE id = 2;
DELETE FROM item WHERE id = 3;
