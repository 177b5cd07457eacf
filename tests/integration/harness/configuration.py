"""The group's YAML file, one per region: the same but for the addresses over which that region reaches the others."""

import yaml


def configuration(group, transport, regions, tables, extra=None):
    """regions: {name: {"postgres": ..., "postgres_admin": ..., "brokers": ..., "http": ...}} in order of rank.
    tables: list of names, or a mapping name -> settings. extra: merged over the rest (top-level keys)."""
    listed = {name: {} for name in tables} if not isinstance(tables, dict) else dict(tables)
    document = {"group": group, "transport": transport, "regions": {}, "tables": listed}
    for name, region in regions.items():
        entry = {key: region[key] for key in ("postgres", "postgres_admin", "http") if region.get(key)}
        if transport == "kafka":
            entry["kafka"] = {"brokers": region["brokers"]}
        document["regions"][name] = entry
    return merged(document, extra or {})


def merged(base, over):
    """Mappings merge key by key; everything else in `over` replaces."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


def write(path, document):
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(document, file, sort_keys=False, allow_unicode=True)
