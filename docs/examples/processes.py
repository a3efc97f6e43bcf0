"""How many primes are there below each number? Pure Python, so a thread would not help."""

import sys

import anyio

from async_task_pipeline import AsyncTaskPipeline


def primes_below(number):
    primes = sum(all(n % d for d in range(2, int(n**0.5) + 1)) for n in range(2, number))
    return f"{primes} primes below {number}"


async def main(executor="process"):
    pipeline = AsyncTaskPipeline().add_stage("primes", primes_below, executor=executor, workers=2)
    async with pipeline.process(range(1000, 6000, 1000)) as results:
        async for result in results:
            print(result)


if __name__ == "__main__":  # each worker imports this file
    anyio.run(main, *sys.argv[1:])
