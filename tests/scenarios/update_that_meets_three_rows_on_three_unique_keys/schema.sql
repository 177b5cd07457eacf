CREATE TABLE item (id int PRIMARY KEY, red int UNIQUE, blue int UNIQUE);
INSERT INTO item VALUES (5, 5, 5);
