-- at a
INSERT INTO item VALUES (102, 3, 4);
-- wait
-- at a
INSERT INTO item VALUES (2, 3, 4);
-- stops unique_violation at b
-- at b
DELETE FROM item WHERE id = 3;
DELETE FROM item WHERE id = 4;
