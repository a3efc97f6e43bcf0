"""What a barge-in is judged by, the same for everyone: what the sink got, and when.

Old items, end-of-turn markers and the items of the next turn are told apart by their text. An old
item is stale when the sink gets it after the request. It is worse when it comes behind the sink's
own word of the interruption too, for then the sink takes it for new; these are counted apart. It
is quiet when the sink has had that word and the last old item. A marker is lost when it never comes.

This module runs in the environments of the peers too, so it imports the standard library only.
"""

from collections.abc import Awaitable, Callable, Iterator
from time import perf_counter

SHAPES: dict[str, str] = {
    "plain": "20 items before a stage that awaits 50 ms for each; the case everybody has in mind",
    "downstream": "raised three stages behind a producer that yields with sleep(0)",
    "own task": "the producer pushes from a task of its own, which nobody tells",
    "own task, told": "the same, and the producer ends its task when it hears of the interruption",
    "urgent": "10 items wait before a stage that is busy with something that is not to be interrupted",
    "marker": "plain, with an end-of-turn marker behind the items",
    "marker, kept": "the same, the marker being declared not to be dropped where that has to be said",
    "swallowed": "plain, and a library swallows the first cancellation",
}

OLD, END, NEW = "old", "end of old", "new"
ITEMS = 20
CALL = 0.05
INTO_THE_SECOND = CALL * 1.5
"""Seconds until the interruption: in the middle of the second call."""
WAITING = 10
PRODUCED = 40
GAP = 0.002
"""Seconds between two items of a producer with a task of its own."""
AMID = 10
"""Items heard before a producer that goes on is interrupted."""
SETTLED = 0.3
"""Seconds without anything, after which nothing more is expected."""


class Record:
    """What one sink got in one run of a shape."""

    def __init__(self) -> None:
        self.got: list[tuple[str, float]] = []
        self.requested = 0.0
        self.told = 0.0

    def item(self, text: str) -> None:
        """An item or a marker has come."""
        self.got.append((text, perf_counter()))

    def request(self) -> None:
        """The interruption is about to be made."""
        self.requested = perf_counter()

    def interruption(self) -> None:
        """The sink has had word of the interruption."""
        self.told = self.told or perf_counter()

    def count(self, text: str) -> int:
        """How many have come that begin so."""
        return sum(each.startswith(text) for each, _ in self.got)

    async def until(self, condition: Callable[[], object], sleep: Callable[[float], Awaitable[object]]) -> None:
        """Wait for something to have come."""
        limit = perf_counter() + 10
        while not condition():
            if perf_counter() > limit:
                raise TimeoutError(f"it did not come; got {self.got}")
            await sleep(0.001)

    async def settled(self, sleep: Callable[[float], Awaitable[object]]) -> None:
        """Wait until nothing more comes."""
        count = -1
        while count != len(self.got):
            count = len(self.got)
            await sleep(SETTLED)

    def outcome(self, shape: str) -> Iterator[tuple[str, float]]:
        """Yield the values of the line, by key."""
        old = [at for text, at in self.got if text.startswith(OLD)]
        stale = [at for at in old if at > self.requested]
        yield f"{shape}: stale", len(stale)
        yield f"{shape}: behind", sum(at > self.told for at in stale)
        yield f"{shape}: quiet_ms", (max([self.told, *stale]) - self.requested) * 1e3
        yield f"{shape}: lost", int(shape.startswith("marker")) - self.count(END)
