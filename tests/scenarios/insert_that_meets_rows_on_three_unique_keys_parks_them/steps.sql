-- pause
-- at b
INSERT INTO item VALUES (7, 2, 0, 0);
INSERT INTO item VALUES (8, 8, 3, 8);
INSERT INTO item VALUES (9, 9, 9, 4);
-- at a
INSERT INTO item VALUES (1, 2, 3, 4);
-- flow
-- wait
-- true at a
SELECT count(*) = 3 FROM pgduet.parked WHERE relation = 'item'::regclass;
