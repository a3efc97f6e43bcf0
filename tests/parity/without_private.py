"""A pytest plugin: the tests of 0.1.10 that are not about what it promised are not run.

The rule: a test is left out by its name and for a reason that is written here. A name that meets
no test is an error, so that the list cannot grow old.
"""

import pytest

LEFT_OUT = {
    f"base/test_item.py::TestDecorator::{name}": "calls _if_timing_enabled, a private decorator; ours has none"
    for name in ("test_enabled", "test_disabled", "test_error", "test_empty")
}


def pytest_configure() -> None:
    """Give the file the private name that it imports beside what it tests; nothing calls it."""
    from async_task_pipeline.base import item

    if not hasattr(item, "_if_timing_enabled"):
        item._if_timing_enabled = None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is named above, and nothing else."""
    found = {item.nodeid.removeprefix("tests/"): item for item in items}
    unmet = LEFT_OUT.keys() - found.keys()
    if unmet:
        raise pytest.UsageError(f"there are no such tests: {', '.join(sorted(unmet))}")
    left_out = [found[name] for name in LEFT_OUT]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
