INSERT INTO item VALUES (6, 6, 6), (7, 7, 7), (8, 8, 8);
