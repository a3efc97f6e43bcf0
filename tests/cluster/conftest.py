"""A real cluster on this machine: a scheduler, and two worker processes of four threads.

The rule: it is started once, with Dask's own log silenced; a worker process that a test
has killed is back before the next test begins.
"""

from __future__ import annotations

import logging

import anyio
import pytest

from tests.cluster.calls import Gate

PROCESSES = 2


@pytest.fixture(scope="module")
def cluster():
    """The cluster; deaths in which a call has a part are allowed once, not three times."""
    distributed = pytest.importorskip("distributed", reason="needs the extra 'dask': pip install '.[dask]'")
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=PROCESSES,
            threads_per_worker=4,
            processes=True,
            dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    """A connection to the cluster, which has nothing to do yet."""
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster) as client:
        client.wait_for_workers(PROCESSES, timeout=60)
        yield client
        client.wait_for_workers(PROCESSES, timeout=60)


@pytest.fixture
def gate(tmp_path):
    """Holds calls, and lets them go at the end whatever happens."""
    gate = Gate(tmp_path)
    yield gate
    gate.close()


@pytest.fixture
def tasks(client):
    """Tells how many calls the scheduler knows of."""

    def count(dask_scheduler):
        return len(dask_scheduler.tasks)

    async def ask():
        return await anyio.to_thread.run_sync(client.run_on_scheduler, count)

    return ask
