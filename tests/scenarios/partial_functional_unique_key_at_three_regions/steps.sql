-- pause
-- at b
BEGIN;
INSERT INTO customer VALUES (1, 7, 'Ada@example.org', true);
INSERT INTO purchase VALUES (1, 1);
COMMIT;
-- at c
BEGIN;
INSERT INTO customer VALUES (2, 7, 'ada@example.org', true);
INSERT INTO purchase VALUES (2, 2);
COMMIT;
-- # Not in the index:
INSERT INTO customer VALUES (3, 7, 'ADA@example.org', false);
-- flow
-- stops unique_violation at a
-- stops unique_violation at b
-- stops unique_violation at c
-- at b
UPDATE customer SET email = 'Ada.B@example.org' WHERE id = 1;
-- at c
UPDATE customer SET email = 'ada.c@example.org' WHERE id = 2;
