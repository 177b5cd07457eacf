-- pause a to c
-- at b
INSERT INTO item VALUES (1, 'from b');
-- wait for b at c
-- wait for b at a
-- at a
INSERT INTO item VALUES (2, 'from a, knowing b');
-- wait for a at b
-- at b
INSERT INTO item VALUES (3, 'from b, knowing a');
-- c holds back b
-- crash at c
-- flow
