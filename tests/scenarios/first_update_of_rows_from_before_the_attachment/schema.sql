CREATE TABLE item (id int PRIMARY KEY, note text);
INSERT INTO item VALUES (1, 'dumped'), (2, 'dumped'), (3, 'dumped');
