-- at a
INSERT INTO item VALUES (1, 'red');
-- wait
-- at a
UPDATE item SET code = 'blue' WHERE id = 1;
-- stops unique_violation at b
-- true at b
SELECT array_agg(code ORDER BY id) = '{red,blue}' FROM item;
-- at b
UPDATE item SET code = 'navy' WHERE id = 2;
