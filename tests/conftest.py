import pytest

pytest_plugins = ["harness.fixtures"]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """For runs with several workers (-n): tests that share a module's or a class's servers stay on one of them."""
    for item in items:
        for definitions in item._fixtureinfo.name2fixturedefs.values():
            if definitions[-1].scope in ("module", "class"):
                item.add_marker(pytest.mark.xdist_group(item.parent.nodeid))
