CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item VALUES (1, 'old'), (2, 'old');
