"""The recipes that a page cannot run by itself: one needs a client, one a library that not every Python has.

The others are run by ``test_docs.py``, as the commands of docs/recipes.md.
"""

from __future__ import annotations

import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def websocket():
    """The module of the recipe, which is not a package's."""
    pytest.importorskip("fastapi")
    spec = importlib.util.spec_from_file_location("websocket_recipe", EXAMPLES / "websocket.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


class Client:
    """A websocket's client, for an ASGI application that runs in a task of the same loop."""

    def __init__(self):
        self.to_app, self.app_receives = anyio.create_memory_object_stream(math.inf)
        self.app_sends, self.from_app = anyio.create_memory_object_stream(0)

    async def serve(self, app):
        scope = {"type": "websocket", "asgi": {"version": "3.0"}, "scheme": "ws", "headers": [], "subprotocols": []}
        scope |= {"path": "/talk", "raw_path": b"/talk", "root_path": "", "query_string": b"", "extensions": {}}
        await app(scope, self.app_receives.receive, self.app_sends.send)

    def ask(self, question):
        self.to_app.send_nowait({"type": "websocket.receive", "text": question})

    async def hear(self):
        return (await self.from_app.receive())["text"]


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["app", "fastapi_app"])
async def test_a_websocket_hears_nothing_of_the_old_answer_after_a_new_question(websocket, name):
    client = Client()
    with client.to_app, client.app_receives, client.app_sends, client.from_app:
        async with anyio.create_task_group() as tg:
            tg.start_soon(client.serve, getattr(websocket, name))
            client.to_app.send_nowait({"type": "websocket.connect"})
            assert (await client.from_app.receive())["type"] == "websocket.accept"
            client.ask("moons")
            assert [await client.hear() for _ in range(3)] == ["<new>", "about moons", "about moons"]
            client.ask("seas")
            while (heard := await client.hear()) != "<new>":
                assert heard == "about moons"
            assert [await client.hear() for _ in range(3)] == ["about seas"] * 3
            client.to_app.send_nowait({"type": "websocket.disconnect", "code": 1000})
            # The application ends by itself: the group waits for it.


def test_texts_are_embedded_with_a_model_per_worker(tmp_path):
    pytest.importorskip("numpy")
    command = [sys.executable, "-W", "error", str(EXAMPLES / "embeddings.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("60 texts; the same words: 1.00")
