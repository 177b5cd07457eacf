-- pause
-- at a
UPDATE item SET note = 'of a' WHERE id = 1;
-- at b
UPDATE item SET note = 'of b';
-- flow
