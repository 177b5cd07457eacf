-- A small shop to try things on. Run once by the PostgreSQL image in each new database.
CREATE TABLE products (
  id     text PRIMARY KEY,
  name   text NOT NULL,
  price  numeric(10, 2) NOT NULL
);
CREATE TABLE orders (
  id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  product_id  text NOT NULL REFERENCES products (id),
  quantity    integer NOT NULL,
  ordered_at  timestamptz NOT NULL DEFAULT now()
);
