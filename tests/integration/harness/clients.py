"""Clients that write at random at all regions at once."""

import threading


def run_clients(group, rng, transactions, choose, refusals, clients=2):
    """So many clients at each region. Each runs `transactions` statements, (SQL, values) as choose(random) gives them;
    `refusals` are the database's errors that a client meets in life, too."""
    def client(region, random):
        connection = region.connect()
        cursor = connection.cursor()
        for _ in range(transactions):
            try:
                cursor.execute(*choose(random))
            except refusals:
                pass
        connection.close()
    threads = [threading.Thread(target=client, args=(region, type(rng)(rng.random()))) for region in group for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
