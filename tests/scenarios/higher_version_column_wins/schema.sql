CREATE FUNCTION newer(l jsonb, r jsonb, context jsonb) RETURNS jsonb IMMUTABLE LANGUAGE sql
AS $$ SELECT CASE WHEN (l ->> 'version')::int >= (r ->> 'version')::int THEN l ELSE r END $$;
CREATE TABLE item (id int PRIMARY KEY, version int, note text);
INSERT INTO item VALUES (1, 45, 'old'), (2, 45, 'old');
