-- at a
INSERT INTO item VALUES (2, 3, 4);
-- stops unique_violation at b
-- true at b
SELECT array_agg(red ORDER BY id) = '{2,3,4}' FROM item;
-- at b
DELETE FROM item WHERE id = 3;
DELETE FROM item WHERE id = 4;
