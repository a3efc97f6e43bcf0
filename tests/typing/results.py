"""A pipeline whose results have another type than what goes in.

The rule: two parameters mean what they always meant, results of the type of the data;
a third one is the type of the results.
"""

from __future__ import annotations

from typing import assert_type

from async_task_pipeline import AsyncTaskPipeline, OutputStream


class Marker:
    pass


async def two_parameters(pipeline: AsyncTaskPipeline[bytes, Marker]) -> None:
    assert_type(pipeline, AsyncTaskPipeline[bytes, Marker, bytes])
    assert_type(pipeline.generate_output_stream(), OutputStream[bytes | Marker])


async def three_parameters(pipeline: AsyncTaskPipeline[bytes, Marker, str]) -> None:
    assert_type(pipeline.generate_output_stream(), OutputStream[str | Marker])
    await pipeline.process_input_data(b"")
    await pipeline.process_input_sentinel(Marker())
    async with pipeline.process([b""]) as results:
        assert_type(results, OutputStream[str | Marker])
        async for result in results:
            assert_type(result, str | Marker)
    async with pipeline as entered:
        assert_type(entered, AsyncTaskPipeline[bytes, Marker, str])
    assert_type(pipeline.add_stage("decode", bytes.decode), AsyncTaskPipeline[bytes, Marker, str])


class OfBytes(AsyncTaskPipeline[bytes, None]):
    pass


class ToText(AsyncTaskPipeline[bytes, None, str]):
    pass


assert_type(AsyncTaskPipeline[bytes, None](5).generate_output_stream(), OutputStream[bytes | None])
assert_type(OfBytes().generate_output_stream(), OutputStream[bytes | None])
assert_type(ToText().generate_output_stream(), OutputStream[str | None])
