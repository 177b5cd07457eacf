-- pause c to a
-- at c
INSERT INTO item VALUES (1, 'from c');
-- wait for c at b
-- at b
INSERT INTO item VALUES (2, 'from b, knowing c');
-- a holds back b
-- true at a
SELECT count(*) = 0 FROM item;
-- flow
