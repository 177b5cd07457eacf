CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE);  -- on_unique: park_loser
