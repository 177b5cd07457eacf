-- at a
INSERT INTO item SELECT i, 'before' FROM generate_series(1, 5) i;
-- wait for a at b
-- crash at b
-- at a
INSERT INTO item VALUES (6, 'after');
-- wait for a at b
-- crash at b
