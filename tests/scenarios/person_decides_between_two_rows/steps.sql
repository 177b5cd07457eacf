-- pause
-- at a
INSERT INTO item VALUES (2, 'first half');
-- at b
INSERT INTO item VALUES (2, 'second half');
-- flow
-- wait
-- true at a
SELECT count(*) = 2 FROM pgduet.siblings('item', '{"id": 2}');
-- true at b
SELECT note = 'second half' FROM item;
-- at a
SELECT pgduet.resolve('item', '{"id": 2}', '{"note": "both halves"}');
