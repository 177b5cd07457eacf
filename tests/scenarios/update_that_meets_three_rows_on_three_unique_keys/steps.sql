-- at a
UPDATE item SET id = 6, red = 7, blue = 8 WHERE id = 5;
-- stops unique_violation at b
-- true at b
SELECT array_agg(red ORDER BY id) = '{5,6,7,8}' FROM item;
-- at b
DELETE FROM item WHERE id = 7;
DELETE FROM item WHERE id = 8;
