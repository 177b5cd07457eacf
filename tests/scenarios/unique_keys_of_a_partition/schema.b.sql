INSERT INTO item VALUES (3, 3, 3), (4, 4, 4);
