"""Quantiles and a histogram of durations."""

# Upper bounds, milliseconds: each a quarter more than the one before.
BOUNDS = [round(0.1 * 1.25 ** step, 3) for step in range(50)]


def spread(durations):
    """p50, p99, p99.9, the largest, and how many lie below each bound and above the one before it (and, last, above all)."""
    ordered = sorted(durations)
    return {"p50": _quantile(ordered, 0.5), "p99": _quantile(ordered, 0.99), "p999": _quantile(ordered, 0.999), "max": round(ordered[-1], 3),
            "histogram": _histogram(ordered)}


def _quantile(ordered, part):
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 3)


def _histogram(ordered):
    counts, place = [], 0
    for bound in BOUNDS:
        begin = place
        while place < len(ordered) and ordered[place] <= bound:
            place += 1
        counts.append(place - begin)
    return [*counts, len(ordered) - place]
