-- pause
-- at a
INSERT INTO item VALUES (2, 'first half');
-- at b
INSERT INTO item VALUES (2, 'second half');
-- flow
-- wait
-- at a
UPDATE item SET note = (SELECT local_row->>'note' FROM pgduet.conflict
  WHERE table_schema = 'losing_row_is_merged_from_the_conflict_log' AND key = '{"id": 2}') || ', ' || note
WHERE id = 2;
