-- at a
INSERT INTO item VALUES (1, 'first');
-- wait
-- at a
UPDATE item SET note = 'newer' WHERE id = 1;
-- wait
-- resend from a
-- at a
INSERT INTO item VALUES (2, 'after');
