CREATE TABLE item (id int PRIMARY KEY, code int UNIQUE);  -- on_unique: park_loser
