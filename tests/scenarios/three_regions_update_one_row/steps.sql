-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- pause
-- at c
UPDATE item SET note = 'from c' WHERE id = 1;
-- at a
UPDATE item SET note = 'from a' WHERE id = 1;
-- at b
UPDATE item SET note = 'from b' WHERE id = 1;
-- # A hears of C first, C of B.
-- flow c to a
-- wait for c at a
-- flow b to c
-- wait for b at c
-- flow
