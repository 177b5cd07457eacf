CREATE TABLE item (id int PRIMARY KEY, red int UNIQUE, blue int UNIQUE);
