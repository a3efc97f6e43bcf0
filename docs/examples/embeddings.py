"""Embed texts in batches, with a model of its own in each worker.

The trap: numpy's BLAS starts as many threads as there are cores, in each worker. Two workers
then compute with twice as many threads as cores and take turns at being in each other's way,
which can cost more than tenfold. One thread per worker is what you want, and it has to be said
before numpy is imported. A worker process imports this file, so the line holds there too.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = (
    "1"  # before numpy; MKL_NUM_THREADS, OMP_NUM_THREADS for others
)

import numpy as np

from async_task_pipeline import AsyncTaskPipeline

Vector = np.ndarray


class Model:
    """A stand-in: hashed words through two layers."""

    def __init__(self) -> None:  # called once in each worker; loads what is large
        random = np.random.default_rng(0)
        self.layers = [random.standard_normal((256, 256)) / 16 for _ in range(2)]

    def embed(self, texts: list[str]) -> list[Vector]:  # a list in, a list of as many out
        words = np.zeros((len(texts), 256))
        for row, text in zip(words, texts, strict=True):
            for word in text.lower().split():
                row[sum(word.encode()) % 256] += 1
        for layer in self.layers:
            words = np.tanh(words @ layer)
        return list(words / np.linalg.norm(words, axis=1, keepdims=True))


def main() -> None:
    texts = ["the cat sat", "sat the cat", "a pipeline of stages"] * 20
    pipeline = AsyncTaskPipeline().add_batch_stage(
        "embed",
        Model.embed,
        max_size=16,
        max_wait=0.05,
        setup=Model,
        workers=2,
        executor="process",
    )
    vectors = pipeline.run_sync(texts)
    same, other = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    print(f"{len(vectors)} texts; the same words: {same:.2f}, others: {other:.2f}")


if __name__ == "__main__":
    main()
