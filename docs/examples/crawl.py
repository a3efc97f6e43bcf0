"""Crawl a site: fetched on the loop, parsed in processes, stored in SQLite in batches.

Without an address it crawls a small site of its own: ``python docs/examples/crawl.py [URL]``.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import partial
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urljoin, urlsplit

import anyio
import attrs
import httpx

from async_task_pipeline import AsyncTaskPipeline


@attrs.frozen
class Page:
    url: str
    text: str
    links: AbstractSet[str] = frozenset()


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.found += [
            value for name, value in attributes if (tag, name) == ("a", "href") and value
        ]


async def fetch(client: httpx.AsyncClient, url: str) -> Page:  # waits: on the event loop
    answer = await client.get(url)
    answer.raise_for_status()
    return Page(url, answer.text)


def parse(page: Page) -> Page:  # pure Python that computes: a process
    links = Links()
    links.feed(page.text)
    found = {urljoin(page.url, link) for link in links.found}
    here = urlsplit(page.url).netloc
    return attrs.evolve(page, links={link for link in found if urlsplit(link).netloc == here})


@contextlib.contextmanager
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect("pages.db", check_same_thread=False)
    connection.execute("create table if not exists page (url text primary key, size int)")
    yield connection
    connection.close()


def store(connection: sqlite3.Connection, pages: list[Page]) -> list[Page]:
    rows = [(page.url, len(page.text)) for page in pages]
    with connection:  # one transaction for the whole batch
        connection.executemany("insert or replace into page values (?, ?)", rows)
    return pages


async def crawl(start: str, client: httpx.AsyncClient) -> tuple[int, int]:
    pipeline = AsyncTaskPipeline(on_error="return")  # a failed page is in the output too
    pipeline.add_stage("fetch", partial(fetch, client), workers=8, ordered=False, timeout=10)
    pipeline.add_stage("parse", parse, workers=2, ordered=False, executor="process")
    pipeline.add_batch_stage("store", store, max_size=50, max_wait=0.1, setup=database)

    seen, inside, failed = {start}, 1, 0
    found, todo = anyio.create_memory_object_stream[str](float("inf"))
    found.send_nowait(start)
    with found:
        async with pipeline.process(todo) as results:
            async for page in results:
                inside -= 1
                if isinstance(page, Exception):
                    failed += 1
                else:
                    new = page.links - seen
                    seen |= new
                    inside += len(new)
                    for link in sorted(new):
                        found.send_nowait(link)
                if not inside:
                    found.close()  # nothing is under way: the source ends, and the pipeline
    return len(seen) - failed, failed


class Site(BaseHTTPRequestHandler):
    """Twenty pages, each with links to two others; one link is dead."""

    def do_GET(self):
        number = int(self.path.strip("/") or 1)
        self.send_response(200 if number <= 20 else 404)
        self.end_headers()
        for link in (2 * number, 2 * number + 1):
            if link <= 21:
                self.wfile.write(b"<a href='/%d'>next</a>" % link)

    def log_message(self, *_):
        pass


async def main(start: str | None = None) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            async with httpx.AsyncClient() as client:  # its connections are shared by all workers
                stored, failed = await crawl(
                    start or f"http://127.0.0.1:{server.server_port}/1", client
                )
        finally:
            server.shutdown()
    print(f"{stored} pages stored, {failed} failed")


if __name__ == "__main__":  # the processes import this file
    anyio.run(main, *sys.argv[1:])
