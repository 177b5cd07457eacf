CREATE TABLE item (id int NOT NULL, code int NOT NULL, CONSTRAINT item_pkey PRIMARY KEY (id));
INSERT INTO item VALUES (1, 10);
