INSERT INTO item VALUES (1, 'only at a'), (2, 'only at a');
