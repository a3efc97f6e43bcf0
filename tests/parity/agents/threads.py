"""A voice agent made of threads: a microphone that puts, buttons that clear, a display that looks.

One button is pressed while a word is being spoken. The word "forget" is a button for the stage.
"""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from async_task_pipeline import AsyncTaskPipeline

pipeline = AsyncTaskPipeline[str, str](max_queue_size=50, enable_timing=True)
looks: list[object] = []
all_said, may_speak = threading.Event(), threading.Event()


def understand(word: str) -> str:
    if word == "forget":
        all_said.wait(10)
        pipeline.clear_input_queue()
    return word


def speak(word: str) -> str:
    may_speak.wait(10)
    return word.upper()


pipeline.add_stage("understand", understand)
pipeline.add_stage("speak", speak)


def say(*words: str) -> None:
    for word in words:
        pipeline.put_input_data(word, time.perf_counter())


def display() -> None:
    while pipeline.running:
        time.sleep(0.01)
        looks.append((pipeline.counter, len(pipeline.completed_items), pipeline.get_report()))


async def loudspeaker(name: str) -> None:
    await asyncio.to_thread(pipeline.put_input_sentinel, name)
    async for word in pipeline.generate_output_stream():
        print(word)
        if word == name:
            break


async def main() -> None:
    await pipeline.start()
    (looking := threading.Thread(target=display)).start()
    may_speak.set()
    await asyncio.to_thread(say, "one", "two", "three")
    await loudspeaker("--- by the microphone")
    with ThreadPoolExecutor(1) as pool:  # the loop waits for this thread
        list(pool.map(say, ("four", "five")))
    say("six")  # on the loop's own thread: there is room
    await loudspeaker("--- by others")
    print(pipeline.counter, "words,", len(pipeline.completed_items), "spoken")
    may_speak.clear()
    await asyncio.to_thread(say, "seven", "eight", "nine")
    await asyncio.sleep(0.3)  # the first is being spoken, the others wait
    await asyncio.to_thread(pipeline.clear)
    may_speak.set()
    await asyncio.to_thread(say, "ten")
    await loudspeaker("--- after the button")
    await asyncio.to_thread(say, "forget", "eleven", "twelve")
    all_said.set()
    await asyncio.sleep(0.2)
    await asyncio.to_thread(say, "thirteen")
    await loudspeaker("--- after forgetting")
    print("the display still looks:", looking.is_alive(), len(looks) > 10)
    await pipeline.stop()


asyncio.run(main())
