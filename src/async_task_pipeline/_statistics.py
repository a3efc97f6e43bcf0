"""Counters a user can read at any moment, and the receipt of an interrupt.

The rule is the law of conservation: for a stage and for the whole pipeline,
``accepted + fanned_out == delivered + filtered + failed + dropped + inside``. An item
whose generator is running counts as one until its first value leaves; each outcome of a
call beyond its first is fanned out when it leaves, or is dropped; a generator cut short
after its first value counts as one more outcome, dropped. Sentinels, and exceptions that
travel because the user asked for them, are not items and are not counted.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class StageFlow:
    """The counters of one stage since the last :py:meth:`AsyncTaskPipeline.clear`.

    Attributes:
        accepted: Items its link has taken in.
        delivered: Results it has passed on.
        fanned_out: Outcomes beyond the first of their call that have left.
        filtered: Outcomes that were ``None``.
        failed: Calls that raised.
        dropped: Items removed by an interrupt, a clear or a stop, or by a full input.
        inside: Items in its link and in its window: waiting for a worker, in call, or finished
            and waiting for room. What a generator has still to yield after its first value has
            left is none.
        in_call: Items in calls; the rest of a generator counts as one.
        queue_depth: What waits for a worker: entries in the link, sentinels included, and what
            the window has accepted and no worker has taken.
        peak_queue_depth: The most entries there have been in the link.
    """

    accepted: int
    delivered: int
    fanned_out: int
    filtered: int
    failed: int
    dropped: int
    inside: int
    in_call: int
    queue_depth: int
    peak_queue_depth: int


@attrs.frozen
class PipelineStatistics:
    """A snapshot of the whole pipeline, cheap enough for every frame of a display.

    Attributes:
        accepted: Items taken in from producers.
        delivered: Results handed to the consumer.
        fanned_out: Outcomes beyond the first of their call that have left, all stages.
        filtered: Outcomes that were ``None``, all stages.
        failed: Calls that raised, all stages.
        dropped: Items removed by an interrupt, a clear or a stop, wherever they were, or by a
            full input.
        overflowed: Those of them that a full input had no room for.
        inside: Items between acceptance and delivery.
        output_depth: Entries finished and waiting for the consumer, sentinels included.
        stages: The counters of each stage, in stage order.
    """

    accepted: int
    delivered: int
    fanned_out: int
    filtered: int
    failed: int
    dropped: int
    overflowed: int
    inside: int
    output_depth: int
    stages: dict[str, StageFlow]


@attrs.frozen
class DroppedItems:
    """What was dropped in one stage.

    Attributes:
        queued: Waiting for a worker, in the stage's link or window; for the first stage also what
            threads were blocked with in a put. That of a task is counted when its put returns.
        in_call: Being worked on by the stage function.
        finished: Results not yet handed on; for the last stage also those waiting for
            the consumer.
    """

    queued: int = 0
    in_call: int = 0
    finished: int = 0


@attrs.frozen
class InterruptReceipt:
    """What an interrupt, a clear or a stop dropped.

    Attributes:
        dropped: Per stage, in stage order, of the stages interrupted; empty when the
            pipeline was not running.
        busy: Stages whose interrupted call had not returned when the receipt was made,
            that is, after the ``grace``. They take up the next turn as soon as it does;
            all others already have.
        last_delivered: How many results the consumer had been handed since the last
            ``clear``, which is the number of the last one.
        idle_after: Seconds of the pipeline's clock from the request until the stage's
            interrupted call ended, for those that ended before the receipt was made.
        sentinel_placed: Whether the ``sentinel`` of the interrupt entered the output. Not if there
            was none, or the interrupt came too late for one: the pipeline was not running, had
            failed or was being left, or the end of its output had been read.
    """

    dropped: dict[str, DroppedItems] = attrs.field(factory=dict)
    busy: tuple[str, ...] = ()
    last_delivered: int = 0
    idle_after: dict[str, float] = attrs.field(factory=dict)
    sentinel_placed: bool = False

    @property
    def total(self) -> int:
        """All items dropped."""
        return sum(part.queued + part.in_call + part.finished for part in self.dropped.values())
