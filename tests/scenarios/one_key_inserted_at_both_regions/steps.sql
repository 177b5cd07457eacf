-- pause
-- at b
INSERT INTO item VALUES (4, 'from b');
-- at a
INSERT INTO item VALUES (4, 'from a');
-- flow
