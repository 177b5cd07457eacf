INSERT INTO customer VALUES (1, 'ada');
INSERT INTO purchase VALUES (1, 1);
INSERT INTO line VALUES (1, 1);
