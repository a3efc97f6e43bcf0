"""Who says what: the user's lines, and the answers to them.

The rule: this is all that is made up. Everything else in the run happens.
"""

from __future__ import annotations

from .user import Cue, Line
from .voice import Voice

USER = Voice("en-us+f3")
AGENT = Voice("en-us", words_per_minute=165)

MOON, SEA, STOP, GOODBYE = (
    "tell me about the moon",
    "tell me about the history of the sea",
    "stop please",
    "goodbye",
)

REPLIES = {
    MOON: (
        "The moon is our nearest neighbour. It turns around us once a month, and always shows us the same side. "
        "Its seas are plains of dark stone, and there has never been any water in them. "
        "Twelve people have walked there, and they brought back a third of a ton of it."
    ),
    SEA: (
        "The sea is older than the land. It came with the rain of the first million years. "
        "Everything that lives began in it, and most of what lives is still there. "
        "Ships have crossed it for five thousand years, and nobody has seen all of it."
    ),
    STOP: "All right. I will be quiet.",
    GOODBYE: "Goodbye. It was nice to talk to you.",
}

BARGE_INS = 2
"""How often the user talks over the agent below."""


def lines() -> list[Line]:
    """The user's lines; two of them in the middle of an answer."""
    return [
        Line(MOON, USER.utterance(MOON), Cue.AT_ONCE, 0.5),
        Line(SEA, USER.utterance(SEA), Cue.AGENT_TALKS, 2.6),
        Line(STOP, USER.utterance(STOP), Cue.AGENT_TALKS, 3.1),
        Line(GOODBYE, USER.utterance(GOODBYE), Cue.AGENT_IS_DONE, 0.4),
    ]
