"""A voice agent for one caller: each utterance is a stream of phrases and a marker behind it.

The second is interrupted in its first word. The caller hangs up with the last in the output.
"""

import asyncio
import threading
from collections.abc import AsyncIterator

from async_task_pipeline import AsyncTaskPipeline


class EndOfUtterance(int):
    """The marker behind the utterance of that number."""


UTTERANCES = {
    1: ["Good morning", "", "how are you"],  # a pause is filtered
    2: ["Tell me a long story", "of many stages"],
    3: ["Stop", "what is the weather"],
    4: ["Thank you", "and good bye"],
}
may_speak = threading.Event()


async def microphone(phrases: list[str]) -> AsyncIterator[str]:
    for phrase in phrases:
        await asyncio.sleep(0.005)
        yield phrase


def hear(phrase: str) -> str | None:
    return phrase.lower() or None


def speak(word: str) -> str:
    may_speak.wait(10)
    return f"<{word}>"


async def ask(pipeline: AsyncTaskPipeline, number: int) -> None:
    await pipeline.process_input_stream(microphone(UTTERANCES[number]))
    await pipeline.process_input_sentinel(EndOfUtterance(number))


async def listen(pipeline: AsyncTaskPipeline, number: int) -> None:
    async for sound in pipeline.generate_output_stream():
        print("heard the end of" if isinstance(sound, EndOfUtterance) else "heard", sound)
        if isinstance(sound, EndOfUtterance) and sound == number:
            break


async def main() -> None:
    pipeline = AsyncTaskPipeline[str, EndOfUtterance](max_queue_size=50, enable_timing=True)
    pipeline.add_stage("hear", hear)
    pipeline.add_stage("think", lambda text: (word for word in text.split()))
    pipeline.add_stage("speak", speak)
    await pipeline.start()
    may_speak.set()
    await asyncio.gather(ask(pipeline, 1), listen(pipeline, 1))
    print(pipeline.counter, "phrases,", pipeline.get_report().summary.total_items, "words")
    may_speak.clear()
    await ask(pipeline, 2)
    await asyncio.sleep(0.3)  # the first word is being spoken, the others wait
    await pipeline.interrupt()
    may_speak.set()
    await ask(pipeline, 3)
    await listen(pipeline, 3)
    await ask(pipeline, 4)
    await asyncio.sleep(0.3)
    await pipeline.stop()
    print("hung up")
    await listen(pipeline, 0)


asyncio.run(main())
