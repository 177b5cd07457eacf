-- pause
-- at b
INSERT INTO item VALUES (1, 6, 1, 1);
INSERT INTO item VALUES (2, 2, 7, 2);
INSERT INTO item VALUES (3, 3, 3, 8);
-- at a
UPDATE item SET red = 6, blue = 7, green = 8 WHERE id = 5;
-- flow
-- wait
-- true at b
SELECT count(*) = 3 FROM pgduet.parked WHERE relation = 'item'::regclass;
