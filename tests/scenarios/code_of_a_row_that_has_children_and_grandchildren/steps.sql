-- at a
INSERT INTO customer VALUES (2, 'ada');
-- stops unique_violation at b
-- true at b
SELECT (SELECT count(*) FROM customer) + (SELECT count(*) FROM purchase) + (SELECT count(*) FROM line) = 3;
-- at b
DELETE FROM customer WHERE id = 1;
