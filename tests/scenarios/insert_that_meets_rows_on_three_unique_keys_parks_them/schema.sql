CREATE TABLE item (id int PRIMARY KEY, red int UNIQUE, blue int UNIQUE, green int UNIQUE);  -- on_unique: park_loser
