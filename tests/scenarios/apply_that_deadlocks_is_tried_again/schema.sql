CREATE TABLE first (id int PRIMARY KEY, note text);
CREATE TABLE second (id int PRIMARY KEY, note text);
CREATE TABLE third (id int PRIMARY KEY, note text);
