-- pause
-- at a
INSERT INTO item VALUES (2, 'x');
-- at b
INSERT INTO item VALUES (3, 'x');
-- flow
-- wait
-- true at a
SELECT array_agg(key) = '{"{\"2\"}"}' FROM pgduet.parked WHERE relation = 'item'::regclass;
-- true at b
SELECT array_agg(key) = '{"{\"2\"}"}' FROM pgduet.parked WHERE relation = 'item'::regclass;
