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

from tests.kinds import functions
from tests.kinds.kinds import KNOWN, POOLS, Kind
from tests.support.process_gate import ProcessGate


@pytest.fixture(scope="session")
def pools():
    """Real executors, for all tests: to start processes is what costs."""
    with (
        ThreadPoolExecutor(3) as threads,
        ProcessPoolExecutor(3, mp_context=get_context("spawn")) as processes,
    ):
        warm(processes, 3)
        yield {"pool of threads": threads, "pool of processes": processes}


def warm(pool, workers) -> None:
    """Wait until as many processes are there: to begin takes longer than some calls here may."""
    with tempfile.TemporaryDirectory() as folder, ProcessGate(Path(folder) / "gate", "all") as gate:
        calls = [pool.submit(functions.visit, gate.address, number) for number in range(workers)]
        assert gate.wait_for(lambda: len(gate.arrivals) == workers)
        gate.open()
        for call in calls:
            call.result()


@pytest.fixture(params=KNOWN)
def kind(request) -> Kind:
    """Each kind of stage."""
    name = request.param
    if name in POOLS:
        return Kind(name, {"executor": request.getfixturevalue("pools")[name]})
    return Kind(name, {"executor": name} if name in ("process", "interpreter", "toy") else {})


@pytest.fixture
def gate():
    """A gate that holds nobody yet."""
    with tempfile.TemporaryDirectory() as folder, ProcessGate(Path(folder) / "gate") as open_gate:
        yield open_gate
        open_gate.open()
