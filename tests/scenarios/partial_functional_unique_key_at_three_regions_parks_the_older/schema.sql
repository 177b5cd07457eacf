CREATE TABLE customer (id int PRIMARY KEY, shop int, email text, active boolean);  -- on_unique: park_loser
CREATE UNIQUE INDEX one_address ON customer (shop, lower(email)) WHERE active;
CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer);
