"""Do two regions hold the same rows? If not, what is known of those that differ: who wrote them, and what the region still has to do."""

_SHOWN = 10


def assert_same_rows(table, first, other):
    rows, other_rows = first.text_rows(table), other.text_rows(table)
    if rows == other_rows:
        return
    only, other_only = sorted(set(rows) - set(other_rows)), sorted(set(other_rows) - set(rows))
    raise AssertionError(f"{table} differs: {len(rows)} rows in {first.name}, {len(other_rows)} in {other.name}\n"
                         + _told(table, first, only) + _told(table, other, other_only))


def _told(table, region, only):
    stamps = dict(region.sql(f"SELECT t::text, concat(s.timestamp, ' origin ', s.roident, ' xmin ', t.xmin) FROM {table} t, "
                             "pg_xact_commit_timestamp_origin(t.xmin) s WHERE t::text = ANY(%s)", (only[:_SHOWN],)))
    [(tombstones, unswept)] = region.sql(f"SELECT count(*), count(unswept) FROM {region.sidecar}.tombstone")
    return (f"  {region.name}: {tombstones} tombstones, {unswept} of them not swept; capture is through {region.decoded_through()}\n"
            + "".join(f"  only in {region.name}: {row[:300]} written {stamps.get(row, 'since changed')}\n" for row in only[:_SHOWN]))
