"""A websocket that answers with a stream, and breaks off when the next question comes.

One pipeline for each connection: it ends with it, however that ends. Run it with
``uvicorn --app-dir docs/examples websocket:app``, or ``websocket:fastapi_app``.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from async_task_pipeline import AsyncTaskPipeline, OutputStream


async def answer(question: str) -> AsyncIterator[str]:  # a language model, for example
    while True:
        yield f"about {question}"
        await anyio.sleep(0.01)


async def send_all(output: OutputStream[str], websocket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect):  # talk() ends it then
        async for words in output:
            await websocket.send_text(words)


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    # Small links: little is ahead of the client, and a slow one slows the answer down.
    async with (
        AsyncTaskPipeline[str, str](max_queue_size=2).add_stage("answer", answer) as pipeline,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(send_all, pipeline.output(), websocket)
        async for question in websocket.iter_text():  # ends when the client leaves
            await pipeline.interrupt(sentinel="<new>")  # nothing of the old answer comes after it
            await pipeline.put(question)
        tg.cancel_scope.cancel()


app = Starlette(routes=[WebSocketRoute("/talk", talk)])

fastapi_app = FastAPI()
fastapi_app.websocket("/talk")(talk)
