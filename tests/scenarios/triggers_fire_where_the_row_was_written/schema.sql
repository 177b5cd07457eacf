CREATE TABLE item (id int PRIMARY KEY, note text);
CREATE TABLE fired (number int GENERATED ALWAYS AS IDENTITY, name text, operation text);  -- not replicated
CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO triggers_fire_where_the_row_was_written.fired (name, operation) VALUES (TG_NAME, TG_OP);
  RETURN NULL;
END $$;
CREATE TRIGGER ordinary AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION note_it();
CREATE TRIGGER replica AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION note_it();
ALTER TABLE item ENABLE REPLICA TRIGGER replica;
