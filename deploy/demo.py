"""The demo: two scratch databases, two agents, writes on both sides with conflicts, then what became of them.

Run by ./dev demo [--kafka] [--keep]. Everything lives in a temporary folder and on loopback; nothing stays behind.
"""

import argparse
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/integration"))

from harness import processes  # noqa: E402
from harness.agent import binary  # noqa: E402
from harness.group import Group  # noqa: E402
from harness.kafka import KafkaBroker  # noqa: E402
from harness.link import LinkHost  # noqa: E402
from harness.workspace import Workspace  # noqa: E402

EAST, WEST = "us-east", "eu-west"
TABLES = ["public.products", "public.customers", "public.orders"]
SCHEMA = """
CREATE TABLE products (id text PRIMARY KEY, name text NOT NULL, price numeric(10, 2) NOT NULL);
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text);
CREATE TABLE orders (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(), customer int NOT NULL, product text NOT NULL,
  quantity int NOT NULL, ordered_at timestamptz NOT NULL DEFAULT now());
"""

# What each side does while the link is cut: (region, SQL, what it is for the reader). In this order, so the later one wins.
CONFLICTING = [
    (EAST, "UPDATE products SET price = 9.50 WHERE id = 'tea'", "lowers the price of tea to 9.50"),
    (WEST, "UPDATE products SET price = 11.00 WHERE id = 'tea'", "raises the price of tea to 11.00"),
    (WEST, "UPDATE customers SET city = 'Porto' WHERE id = 1", "moves customer 1 to Porto"),
    (EAST, "UPDATE customers SET city = 'Boston' WHERE id = 1", "moves customer 1 to Boston"),
    (EAST, "UPDATE products SET name = 'Salt, 1 kg' WHERE id = 'salt'", "renames salt"),
    (WEST, "DELETE FROM products WHERE id = 'salt'", "deletes salt"),
    (WEST, "INSERT INTO customers VALUES (77, 'Wanda', 'Lisbon')", "adds customer 77, Wanda"),
    (EAST, "INSERT INTO customers VALUES (77, 'Edgar', 'Denver')", "adds customer 77, Edgar"),
]


def main():
    options = _options()
    workspace, broker, group = Workspace(), None, None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with LinkHost() as links:
            say("Starting two PostgreSQL databases" + (", a Kafka broker" if options.kafka else "") + " and two agents ...")
            broker = KafkaBroker(workspace).start() if options.kafka else None
            group = Group(workspace, links, [EAST, WEST], TABLES, schema=SCHEMA, broker=broker,
                          transport="kafka" if options.kafka else "direct", name="demo")
            group.start()
            equal = play(group)
            if options.keep:
                keep(group)
            group.close(check=True)
            return 0 if equal else 4
    except KeyboardInterrupt:
        return 130
    except AssertionError as failure:
        print(f"\nThe demo failed: {failure}", file=sys.stderr)
        return 1
    finally:
        processes.kill_all()
        workspace.remove()


def play(group):
    east, west = group[EAST], group[WEST]
    say("Both sides write to tables of their own keys ...")
    east.sql("INSERT INTO products VALUES ('tea', 'Tea', 10), ('salt', 'Salt', 2), ('rice', 'Rice', 4)")
    west.sql("INSERT INTO customers SELECT i, 'Customer ' || i, 'Oslo' FROM generate_series(1, 20) i")
    group.wait_converged()
    for region in group:
        region.sql("INSERT INTO orders (customer, product, quantity) SELECT i % 20 + 1, 'tea', i % 5 + 1 FROM generate_series(1, 500) i")
    group.wait_converged()

    say("The link between the regions is cut. Both go on writing, to the same rows:")
    with group.paused():
        for name, statement, meaning in CONFLICTING:
            group[name].sql(statement)
            print(f"    {name:8} {meaning}")
    started = time.monotonic()
    group.wait_converged()
    say(f"The link is back; {time.monotonic() - started:.1f} s later everything has arrived everywhere.")
    return summarise(group)


def summarise(group):
    say("Rows:")
    equal = True
    for table in TABLES:
        rows = [region.text_rows(table) for region in group]
        same = rows[0] == rows[1]
        equal &= same
        print(f"    {table:18} {len(rows[0]):5} rows in {EAST}, {len(rows[1]):5} in {WEST}: {'equal' if same else 'DIFFERENT'}")
    print()
    for region in group:
        for query in ("SELECT price FROM products WHERE id = 'tea'", "SELECT city FROM customers WHERE id = 1",
                      "SELECT count(*) FROM products WHERE id = 'salt'", "SELECT name FROM customers WHERE id = 77"):
            print(f"    {region.name:8} {query:52} {region.sql(query)[0][0]}")
    for region in group:
        say(f"Conflicts that {region.name} found, and how each was decided (pgduet conflicts list):")
        print(indented(region.pgduet("conflicts list").stdout))
    for region in group:
        say(f"Lag at {region.name} (pgduet lag):")
        print(indented(region.pgduet("lag", check=False).stdout))
    return equal


def keep(group):
    say("Kept running. In another terminal:")
    for region in group:
        print(f"    psql '{region.postgres.conninfo(region.dbname)}'      # {region.name}")
    for region in group:
        print(f"    {binary()} status --config {region.config_path} --region {region.name}")
    for region in group:
        print(f"    curl http://127.0.0.1:{region.http_port}/metrics      # {region.name}")
    say("Press Ctrl-C to stop and remove everything.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def say(text):
    print(f"\n{text}", flush=True)


def indented(text):
    return "\n".join("    " + line for line in text.rstrip().splitlines())


def _options():
    parser = argparse.ArgumentParser(prog="./dev demo", description="Two databases, two agents, conflicts.")
    parser.add_argument("--kafka", action="store_true", help="through a real Kafka broker instead of directly")
    parser.add_argument("--keep", action="store_true", help="leave everything running until Ctrl-C")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
