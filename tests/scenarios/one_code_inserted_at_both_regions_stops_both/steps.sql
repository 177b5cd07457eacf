-- pause
-- at a
INSERT INTO item VALUES (2, 'x');
-- at b
INSERT INTO item VALUES (3, 'x');
-- flow
-- stops unique_violation at a
-- stops unique_violation at b
-- at a
UPDATE item SET code = 'x of a' WHERE id = 2;
-- at b
UPDATE item SET code = 'x of b' WHERE id = 3;
