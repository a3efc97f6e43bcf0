"""Which lines of a file say something new? Asked of a cluster.

The same question as in ``novelty.py``, with the same functions. The two cheap steps stay
here; what costs milliseconds a line goes to the cluster, several lines a time::

    python docs/examples/cluster.py README.md

Without ``--scheduler`` it starts a cluster of two processes on this machine, and ends it
afterwards. With it, the cluster that is there is used, and ``novelty.py`` is sent to it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import anyio
import novelty
from distributed import Client

from async_task_pipeline import AsyncTaskPipeline

LINES_PER_CALL = 16
"""To judge a line takes a millisecond, a hop takes several; so a hop is for many lines."""

TWO_PROCESSES = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
"""The cluster that a client starts, and ends, if it is told of none."""


def measure(lines: list[novelty.Line]) -> list[novelty.Line]:
    """Have both compressors judge some lines. This is what runs on the cluster."""
    return [novelty.pack_both(novelty.pack_before(novelty.deflate(line))) for line in lines]


def pipeline_on(client: Client) -> AsyncTaskPipeline[str, str]:
    """Make the pipeline, with twice as many calls in flight as the cluster has threads."""
    return (
        AsyncTaskPipeline[str, str](max_queue_size=4 * LINES_PER_CALL)
        .add_stage("window", novelty.windows())
        .add_stage("digest", novelty.digest)
        .add_batch_stage(
            "measure",
            measure,
            max_size=LINES_PER_CALL,
            max_wait=0.1,
            executor=client.get_executor(),
            workers=2 * sum(client.nthreads().values()),
        )
        .add_stage("describe", novelty.describe)
    )


async def describe(lines: Iterable[str], client: Client) -> int:
    """Print what the pipeline says of each line; return how many there were."""
    pipeline = pipeline_on(client)
    async with pipeline.process(lines) as results:
        async for result in results:
            print(result)
    return pipeline.statistics().delivered


def main() -> None:
    """Connect to a cluster, or start one; ask it; say how much it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument(
        "--scheduler", help="the address of a cluster, such as tcp://10.0.0.1:8786"
    )
    options = parser.parse_args()
    cluster = {"address": options.scheduler} if options.scheduler else TWO_PROCESSES
    with Client(**cluster) as client, Path(options.file).open(encoding="utf-8") as lines:
        client.upload_file(novelty.__file__)
        count = anyio.run(describe, lines, client)
        print(f"{count} lines, measured by {len(client.nthreads())} processes", file=sys.stderr)


if __name__ == "__main__":  # the processes of the cluster import this file too
    main()
