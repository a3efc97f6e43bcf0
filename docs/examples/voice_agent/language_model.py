"""A language model that always says the same, at the pace of a real one.

The rule: a pause before the first word, then a word at a time with uneven gaps. It is
an async generator, so an interrupt ends it in the middle of a gap, as it would end a
request to a real model.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from itertools import cycle

from .messages import Request, Sentence, Word
from .pacing import Sleep

SORRY = "Sorry, I did not understand that."


class ScriptedModel:
    """A stage: requests in, words out.

    Args:
        replies: What to say to what.
        sleep: How to wait.
        first: Seconds until the first word.
        gaps: Seconds between the words, over and over.
    """

    def __init__(
        self,
        replies: Mapping[str, str],
        sleep: Sleep,
        *,
        first: float = 0.25,
        gaps: Sequence[float] = (0.03, 0.06, 0.02, 0.09, 0.04),
    ) -> None:
        self.replies = replies
        self.sleep = sleep
        self.first = first
        self.gaps = gaps

    async def __call__(self, request: Request) -> AsyncGenerator[Word, None]:
        """The words of the reply, each when it is ready."""
        gaps = cycle(self.gaps)
        for number, word in enumerate(self.replies.get(request.text, SORRY).split()):
            await self.sleep(next(gaps) if number else self.first)
            yield Word(request.trace, request.turn, word)


class Sentences:
    """A stage: words in, whole sentences out.

    It remembers words between calls, so an interrupt has to make it forget them.
    """

    def __init__(self) -> None:
        self._words: list[str] = []

    async def __call__(self, word: Word) -> AsyncGenerator[Sentence, None]:
        """The sentence that this word completes, if it does."""
        self._words.append(word.text)
        if word.text.endswith((".", "!", "?")):
            text = " ".join(self._words)
            self.forget()
            yield Sentence(word.trace, word.turn, text)

    def forget(self) -> None:
        """Drop the words of a sentence that will not be completed."""
        self._words.clear()
