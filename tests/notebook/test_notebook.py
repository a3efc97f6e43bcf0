"""Pipelines in a notebook, in a real kernel of IPython: docs/notebooks.md cell by cell, and what a page does not show.

The rule: a test runs the cells of one notebook, and sees what its reader would see below them.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.api.test_docs import ROOT, assert_in_order, blocks_of
from tests.support.waiting import PATIENCE

nbformat = pytest.importorskip("nbformat", reason="needs the group 'notebook': nox -s notebook")
nbclient = pytest.importorskip("nbclient", reason="needs the group 'notebook': nox -s notebook")
pytest.importorskip("ipykernel", reason="needs the group 'notebook': nox -s notebook")


def client_of(*cells, **options):
    """A notebook with these cells, and what runs it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    return nbclient.NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", **options)


def below(cell):
    """What a reader sees below a cell."""
    shown = [each.get("text") or each.get("data", {}).get("text/plain") or each.get("evalue") for each in cell.outputs]
    return "".join(f"{each}\n" for each in shown)


def run(*cells, **options):
    """What a reader sees below each of these cells."""
    return [below(cell) for cell in client_of(*cells, **options).execute(env=environment()).cells]


def environment():
    """What a kernel begins with; in one that knows of pytest, what a process prints is not shown below the cell."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_the_cells_of_the_page_do_what_it_says():
    blocks = blocks_of((ROOT / "docs" / "notebooks.md").read_text(encoding="utf-8"))
    seen = run(*("\n".join(block.lines) for block in blocks if block.info == "python cell"))
    assert_in_order([line for block in blocks if block.info == "text output" for line in block.lines], "".join(seen))


def test_a_pipeline_is_drawn_and_a_report_is_a_table():
    make = "from async_task_pipeline import AsyncTaskPipeline\npipeline = AsyncTaskPipeline(enable_timing=True)"
    cells = [f"{make}.add_stage('len', len)\nawait pipeline.collect(['a'])", "pipeline", "pipeline.get_report()"]
    _, drawing, table = client_of(*cells).execute(env=environment()).cells
    assert "<svg" in drawing.outputs[0].data["image/svg+xml"]
    assert "<table" in table.outputs[0].data["text/html"]


DEFINITIONS = """
from async_task_pipeline import AsyncTaskPipeline
class MineError(Exception):
    def __init__(self, this, that):
        super().__init__(this, that)
def setup():
    return "state"
def fail(state, item):
    print("printed over there", flush=True)
    raise MineError(state, item)
"""
FAILING = """
pipeline = AsyncTaskPipeline().add_stage("fail", fail, setup=setup, executor="process")
try:
    await pipeline.collect(["item"])
except MineError as error:
    print(error.args)
"""


def test_an_exception_of_a_cell_is_caught_in_a_cell_and_a_cell_that_is_run_again_counts():
    again = DEFINITIONS.replace('return "state"', 'return "another"')
    _, first, _, second = run(DEFINITIONS, FAILING, again, FAILING)
    assert "('state', 'item')" in first
    assert "printed over there" in first
    assert "('another', 'item')" in second


def test_a_stage_is_refused_where_nothing_pickles_by_value():
    without = "import sys; sys.modules['cloudpickle'] = None"
    (*_, refused) = run(without, DEFINITIONS, FAILING, allow_errors=True)
    assert "process_fn of stage 'fail' cannot be sent to another process: <function fail" in refused
    assert "it is of the main module, which is no file" in refused
    assert "pip install 'async-task-pipeline[cloudpickle]'" in refused


HELD = """
def held(path):
    print("begun", flush=True)
    open(path, "w").write("x" * 10**6)  # more than fits, and nobody reads it
pipeline = AsyncTaskPipeline().add_stage("held", held, executor="process")
await pipeline.collect(["{path}"])
"""


def test_a_cell_that_is_interrupted_leaves_nothing_running(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def interrupt():
        later = "print(pipeline.running, await AsyncTaskPipeline().add_stage('len', len, executor='process').collect(['abc']))"
        client = client_of(DEFINITIONS, HELD.format(path=path), later, allow_errors=True)
        async with client.async_setup_kernel(env=environment()):
            cells = client.nb.cells
            await client.async_execute_cell(cells[0], 0)
            cell = asyncio.create_task(client.async_execute_cell(cells[1], 1))
            reader = await asyncio.to_thread(os.open, path, os.O_RDONLY)
            await client.km.interrupt_kernel()
            client.kc.kernel_info()  # its loop hears of a signal with the next message
            await cell
            os.close(reader)
            await client.async_execute_cell(cells[2], 2)
        return [below(each) for each in cells]

    _, _, last = asyncio.run(interrupt())
    assert last.rstrip() == "False [3]"
