"""One database of a system that is measured."""

import threading

# Order does not count, so no sort is needed; the count tells an empty table from two rows that cancel each other.
_CHECKSUM = "SELECT count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM {} t"


class Side:
    def __init__(self, name, cluster, dbname):
        self.name = name
        self.cluster = cluster
        self.dbname = dbname

    def sql(self, statement, parameters=None):
        return self.cluster.sql(statement, parameters, dbname=self.dbname)

    def connect(self, autocommit=True):
        return self.cluster.connect(self.dbname, autocommit=autocommit)

    def write(self, statement):
        """Runs a statement of a backlog or a seed: its own durability is not what is measured."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET synchronous_commit = off")
                cursor.execute(statement)
        finally:
            connection.close()

    def checksum(self, table):
        """Equal for equal rows, whatever their order."""
        return self.sql(_CHECKSUM.format(table))[0]


def on_all(sides, action):
    """Calls action(side) for all sides at once; raises the first error."""
    errors = []

    def run(side):
        try:
            action(side)
        except Exception as error:  # noqa: BLE001  handed to the caller
            errors.append(error)

    threads = [threading.Thread(target=run, args=(side,)) for side in sides]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
