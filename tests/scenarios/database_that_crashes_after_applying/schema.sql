CREATE TABLE item (id int PRIMARY KEY, note text);
CREATE TABLE applied (id int, operation text);  -- not replicated
CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO database_that_crashes_after_applying.applied VALUES (NEW.id, TG_OP);
  RETURN NULL;
END $$;
CREATE TRIGGER count_it AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION count_it();
ALTER TABLE item ENABLE REPLICA TRIGGER count_it;
