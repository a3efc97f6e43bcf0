"""The HTTP/1.1 client that every contestant of `http` shares: plain anyio sockets, kept alive.

It does the least a client can, so that what is around it shows most.
"""

from anyio import connect_tcp
from anyio.abc import SocketStream


class Client:
    """As many connections as there are requests at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[SocketStream] = []

    async def connect(self, connections: int) -> None:
        """Open connections ahead of the first request."""
        self._idle += [await connect_tcp("127.0.0.1", self._port) for _ in range(connections)]

    async def aclose(self) -> None:
        """Close all."""
        for stream in self._idle:
            await stream.aclose()

    async def get(self, number: int) -> int:
        """Request `/number` and return the number in the answer."""
        stream = self._idle.pop()
        await stream.send(b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number)
        received = b""
        while b"\r\n\r\n" not in received:
            received += await stream.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2].split(b"\r\n")[0])
        while len(body) < length:
            body += await stream.receive()
        self._idle.append(stream)
        return int(body)
