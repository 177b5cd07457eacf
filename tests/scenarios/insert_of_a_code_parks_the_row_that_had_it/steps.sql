-- at a
INSERT INTO item VALUES (5001, 5000);
-- wait
-- true at b
SELECT count(*) = 1 FROM pgduet.parked WHERE relation = 'item'::regclass;
