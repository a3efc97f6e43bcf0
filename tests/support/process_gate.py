"""A gate that calls in any thread, process or interpreter, or on the loop, stand at.

The rule: a visitor connects to a socket, says who it is, and waits for one byte. The
gate lets it through at once, unless it is told to hold such visitors. A visitor that is
killed hangs up. So a test knows who is in a call now, and how it ended, without a sleep.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading

from anyio import to_thread

from tests.support.waiting import PATIENCE


class ProcessGate:
    """Listens until it is closed; use it as a context manager.

    Attributes:
        address: What a visitor connects to.
        arrivals: Who has come, in order.
        departed: Who has gone, in order.
        most: The most visitors that ever were here at once.
    """

    def __init__(self, address, *held) -> None:
        self.address = str(address)
        self.arrivals, self.departed = [], []
        self.most = 0
        self._held = {str(label) for label in held}
        self._inside = {}
        self._waiting = set()
        self._changed = threading.Condition()
        self._closing = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen(64)
        self._wakeup, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        # In this order: seeing that it is to close, the thread closes what wakes it.
        self._wakeup.send(b"!")
        self._closing = True
        self._thread.join()

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector, self._listener, self._wakeup, self._woken:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._closing:
                ready = [key.fileobj for key, _ in selector.select()]
                # Who leaves before who comes: a worker's next call comes after it has left.
                for visitor in [each for each in ready if each not in (self._listener, self._woken)]:
                    self._hear(visitor, selector)
                if self._listener in ready:
                    selector.register(self._listener.accept()[0], selectors.EVENT_READ)
            for key in [*selector.get_map().values()]:
                key.fileobj.close()

    def _hear(self, visitor, selector) -> None:
        try:
            said = visitor.recv(4096).decode()
        except ConnectionResetError:
            said = ""
        with self._changed:
            if said:
                self.arrivals.append(said)
                self._inside[visitor] = said
                self.most = max(self.most, len(self._inside))
                if said in self._held or "all" in self._held:
                    self._waiting.add(visitor)
                else:
                    self._let_through(visitor)
            else:
                self.departed.append(self._inside.pop(visitor, ""))
                self._waiting.discard(visitor)
                selector.unregister(visitor)
                visitor.close()
            self._changed.notify_all()

    def _let_through(self, visitor) -> None:
        with contextlib.suppress(OSError):  # killed; its hanging up is heard next
            visitor.send(b".")

    @property
    def inside(self):
        """Who is here now."""
        with self._changed:
            return sorted(self._inside.values())

    def hold(self, *labels) -> None:
        """Hold visitors of these names from now on."""
        with self._changed:
            self._held |= {str(label) for label in labels}

    def open(self, *labels) -> None:
        """Let visitors of these names through, now and later; by default all."""
        with self._changed:
            names = {str(label) for label in labels}
            self._held = self._held - names if labels else set()
            for visitor in [each for each in self._waiting if not labels or self._inside[each] in names]:
                self._waiting.discard(visitor)
                self._let_through(visitor)

    def wait_for(self, condition) -> bool:
        """Wait in a thread until the condition holds; return whether it came to that."""
        with self._changed:
            return self._changed.wait_for(condition, PATIENCE / 2)

    async def entered(self, *labels) -> None:
        """Wait until each of these has come."""
        names = [str(label) for label in labels]
        come = await to_thread.run_sync(self.wait_for, lambda: all(name in self.arrivals for name in names))
        assert come, f"waited for {names}, and those came: {self.arrivals}"

    async def left(self, *labels) -> None:
        """Wait until each of these has gone."""
        names = [str(label) for label in labels]
        gone = await to_thread.run_sync(self.wait_for, lambda: all(name in self.departed for name in names))
        assert gone, f"waited for {names} to go, and those did: {self.departed}"
