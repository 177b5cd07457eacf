CREATE TABLE item (id int PRIMARY KEY, note text);
CREATE TABLE applied (id int, note text);  -- not replicated
CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  INSERT INTO old_change_delivered_again_is_ignored.applied VALUES (NEW.id, NEW.note);
  RETURN NULL;
END $$;
CREATE TRIGGER count_it AFTER INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION count_it();
ALTER TABLE item ENABLE REPLICA TRIGGER count_it;
