-- pause
-- at a
UPDATE item SET version = 47, note = 'of a' WHERE id = 1;
UPDATE item SET version = 47, note = 'of a' WHERE id = 2;
-- at b
UPDATE item SET version = 46, note = 'of b' WHERE id = 1;
UPDATE item SET version = 48, note = 'of b' WHERE id = 2;
-- flow
