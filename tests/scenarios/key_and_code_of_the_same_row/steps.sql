-- pause
-- at b
INSERT INTO item VALUES (1, 'x', 'from b');
-- at a
INSERT INTO item VALUES (1, 'x', 'from a');
-- flow
