-- at a
ALTER TABLE item DROP CONSTRAINT item_pkey;
ALTER TABLE item ADD PRIMARY KEY (code);
INSERT INTO item VALUES (3, 30);
-- stops key_differs at b
-- at b
DELETE FROM item WHERE id = 2;
-- stops key_differs at a
-- at a
ALTER TABLE item DROP CONSTRAINT item_pkey;
ALTER TABLE item ADD PRIMARY KEY (id);
-- wait for b at a
-- at a
ALTER TABLE item DROP CONSTRAINT item_pkey;
ALTER TABLE item ADD PRIMARY KEY (code);
-- at b
ALTER TABLE item DROP CONSTRAINT item_pkey;
ALTER TABLE item ADD PRIMARY KEY (code);
-- wait
-- at b
UPDATE item SET id = 31 WHERE code = 30;
