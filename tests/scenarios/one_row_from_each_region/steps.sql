-- at a
INSERT INTO item VALUES (1, 'from a');
-- at b
INSERT INTO item VALUES (2, 'from b');
