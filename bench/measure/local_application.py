"""What an application of the target feels while a backlog drains there: the latency of its own transactions, an open loop of small updates."""

import os

from .drain import begin_backlog, timed
from .pgbench import OpenLoop
from .quantiles import spread

_ROWS = 10_000
_CLIENTS = 4
_SCRIPT = f"\\set id random(1, {_ROWS})\nUPDATE app SET n = n + 1 WHERE id = :id;\n"
SCHEMA = f"CREATE TABLE app (id int PRIMARY KEY, n int NOT NULL); INSERT INTO app SELECT g, 0 FROM generate_series(1, {_ROWS}) g;"


def local_application(system, count, rate, seconds, folder):
    """Before, alone; then while the backlog drains. `seconds`: longer than the drain takes; only transactions within it count."""
    system.start()
    begin_backlog(system, count)
    alone = OpenLoop(system.targets[0], _SCRIPT, rate, 5, os.path.join(folder, "alone"), _CLIENTS).transactions()
    client = OpenLoop(system.targets[0], _SCRIPT, rate, seconds, os.path.join(folder, "draining"), _CLIENTS)
    figures = timed(system, count)
    during = [one for one in client.transactions() if figures["began"] <= one.ended <= figures["ended"]]
    return {"count": count, "rate": rate, "transactions": len(during), **figures,
            "alone": spread([one.took for one in alone]), "during": spread([one.took for one in during])}
