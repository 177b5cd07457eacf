"""A process that notes when each row of a table becomes visible at one side: it asks for new rows, again and again."""

import multiprocessing
import time

_LOOK_EVERY = 0.0003


class Watcher:
    """Rows have ids `client * step + number`; those of one client become visible in their order, and the first is above `base`."""

    def __init__(self, side, table, clients, step, base):
        self._results, there = multiprocessing.Pipe(duplex=False)
        self._stop = multiprocessing.Event()
        self._process = multiprocessing.Process(target=_watch, args=(side, table, clients, step, base, there, self._stop), daemon=True)
        self._process.start()
        assert self._results.recv() == "ready"

    def seen(self):
        """Ends it: ({id: Unix time}, median milliseconds of a look)."""
        self._stop.set()
        found = self._results.recv()
        self._process.join()
        return found


def _watch(side, table, clients, step, base, results, stop):
    seen, looks = {}, []
    low = [client * step + base for client in range(clients)]
    query = " UNION ALL ".join(f"(SELECT id FROM {table} WHERE id > ${client + 1} AND id < {(client + 1) * step})" for client in range(clients))
    with side.connect().cursor() as cursor:
        cursor.execute(f"PREPARE look ({', '.join(['bigint'] * clients)}) AS {query}")
        results.send("ready")
        while True:
            last = stop.is_set()
            began = time.time()
            cursor.execute(f"EXECUTE look ({', '.join(map(str, low))})")
            now = time.time()
            looks.append(now - began)
            for (number,) in cursor.fetchall():
                seen[number] = now
                low[number // step] = max(low[number // step], number)
            if last:
                break
            time.sleep(_LOOK_EVERY)
    looks.sort()
    results.send((seen, round(looks[len(looks) // 2] * 1000, 3)))
