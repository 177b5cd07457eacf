CREATE TABLE customer (id int PRIMARY KEY, code text UNIQUE);
CREATE TABLE purchase (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE);
CREATE TABLE line (id int PRIMARY KEY, purchase int REFERENCES purchase ON DELETE CASCADE);
