-- at a
INSERT INTO item VALUES (1, 'without', NULL);
-- wait
-- at a
INSERT INTO item VALUES (2, 'with', 'extra');
-- stops column_missing at b
-- true at b
SELECT count(*) = 1 FROM item;
-- at b
ALTER TABLE item ADD COLUMN extra text;
