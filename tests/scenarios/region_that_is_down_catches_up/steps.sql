-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- down at c
-- at a
UPDATE item SET note = 'from a' WHERE id = 1;
INSERT INTO item VALUES (2, 'from a');
-- wait for a at b
-- at b
UPDATE item SET note = 'from b, knowing a' WHERE id = 1;
-- wait for b at a
-- true at a
SELECT array_agg(note ORDER BY id) = '{"from b, knowing a","from a"}' FROM item;
-- up at c
-- at c
INSERT INTO item VALUES (3, 'from c');
