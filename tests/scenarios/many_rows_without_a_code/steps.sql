-- pause
-- at a
INSERT INTO item SELECT i, NULL FROM generate_series(1, 5) i;
-- at b
INSERT INTO item SELECT i, NULL FROM generate_series(6, 9) i;
-- flow
-- wait
-- at b
UPDATE item SET code = 'five' WHERE id = 5;
-- at a
UPDATE item SET code = NULL WHERE id = 9;
