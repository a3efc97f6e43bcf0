"""Stages that remember: a running mean, windows that slide, windows one after another."""

from __future__ import annotations

from collections import deque

import attrs

from async_task_pipeline import AsyncTaskPipeline


@attrs.define
class Mean:
    """A stage makes one call at a time and in order, so its object needs no lock."""

    count: int = 0
    total: float = 0.0

    def __call__(self, value: float) -> float:
        self.count += 1
        self.total += value
        return self.total / self.count

    def forget(self) -> None:
        self.count, self.total = 0, 0.0


class Sliding:
    """The last three items, from the third one on."""

    def __init__(self) -> None:
        self.last = deque[float](maxlen=3)

    def __call__(self, value: float) -> list[float] | None:
        self.last.append(value)
        return list(self.last) if len(self.last) == 3 else None


def total(window: list[float]) -> list[float]:
    return [sum(window)]  # one result for the whole batch


def main() -> None:
    mean = Mean()
    pipelines = {
        "running mean": AsyncTaskPipeline().add_stage("mean", mean, on_interrupt=mean.forget),
        "sliding": AsyncTaskPipeline().add_stage("sliding", Sliding()),
        "one after another": AsyncTaskPipeline().add_batch_stage(
            "total", total, max_size=3, max_wait=60, per_item=False
        ),
    }
    for name, pipeline in pipelines.items():
        print(f"{name}:", pipeline.run_sync([1.0, 2.0, 3.0, 4.0]))


if __name__ == "__main__":
    main()
