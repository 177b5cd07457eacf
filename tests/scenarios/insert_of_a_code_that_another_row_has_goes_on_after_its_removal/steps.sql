-- at a
INSERT INTO item VALUES (5001, 5000);
-- stops unique_violation at b
-- true at b
SELECT array_agg(id) = '{5000}' FROM item;
-- at b
DELETE FROM item WHERE id = 5000;
