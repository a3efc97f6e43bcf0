"""What the contract suite shares: the kinds, real pools, and a gate.

The rule: to start processes is what costs, so the pools serve all tests; everything else
is a test's own.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.kinds.kinds import ALL, POOLS, Kind
from tests.support.process_gate import ProcessGate


@pytest.fixture(scope="session")
def pools():
    """Real executors, for all tests: to start processes is what costs."""
    with (
        ThreadPoolExecutor(3) as threads,
        ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes,
    ):
        yield {"pool of threads": threads, "pool of processes": processes}


@pytest.fixture(params=ALL)
def kind(request) -> Kind:
    """Each kind of stage."""
    name = request.param
    if name in POOLS:
        return Kind(name, {"executor": request.getfixturevalue("pools")[name]})
    return Kind(name, {"executor": name} if name in ("process", "interpreter") else {})


@pytest.fixture
def gate():
    """A gate that holds nobody yet."""
    with tempfile.TemporaryDirectory() as folder, ProcessGate(Path(folder) / "gate") as open_gate:
        yield open_gate
        open_gate.open()
