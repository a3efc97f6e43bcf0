"""The backends, for a test that is not about all three.

The rule: a test runs on every backend (``conftest.py``) unless what it proves exists on some alone:
cancellation by ``Task.cancel`` is asyncio's own.
"""

from __future__ import annotations

import importlib.util

import pytest

UVLOOP = pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed")

ASYNCIO_LOOPS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="asyncio+uvloop", marks=UVLOOP),
]
TRIO = pytest.param(("trio", {}), id="trio")

ASYNCIO = pytest.mark.parametrize("anyio_backend", ASYNCIO_LOOPS)
"""Has a test run on asyncio's two loops only."""
