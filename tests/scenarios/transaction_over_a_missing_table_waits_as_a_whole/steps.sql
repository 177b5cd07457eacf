-- at b
DROP TABLE second;
-- at a
BEGIN;
INSERT INTO first VALUES (1);
INSERT INTO second VALUES (1);
INSERT INTO third VALUES (1);
COMMIT;
-- stops table_missing at b
-- true at b
SELECT (SELECT count(*) FROM first) + (SELECT count(*) FROM third) = 0;
-- at b
CREATE TABLE second (id int PRIMARY KEY);
-- stops permission_denied at b
-- init at b
-- wait
-- # The new table is replicated in the other direction, too.
-- at b
INSERT INTO second VALUES (2);
