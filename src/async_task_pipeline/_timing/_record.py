"""What every record of the report can do besides having attributes.

The rule: a record is plain data, so it can be read by name as a dictionary is, and be made
one, as the dictionaries and pydantic models of 0.1.10 could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs


class Record(Mapping[str, Any]):
    """A mapping of the names of its attributes to what they are."""

    __slots__ = ()
    __attrs_attrs__: ClassVar[tuple[Any, ...]]

    def __init_subclass__(cls) -> None:
        """Have tracebacks, pickles and the documentation name the public place, whoever loads the class."""
        package = __name__.partition(".")[0]
        if cls.__module__.startswith(f"{package}._"):
            cls.__module__ = package

    def __getitem__(self, name: str) -> Any:
        """One attribute by its name."""
        if name not in [*self]:
            raise KeyError(name)
        return getattr(self, name)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in order."""
        return (field.name for field in self.__attrs_attrs__)

    def __len__(self) -> int:
        """How many attributes there are."""
        return len(self.__attrs_attrs__)

    def model_dump(self) -> dict[str, Any]:
        """The record as a dictionary, and what is in it too; the same as :py:func:`attrs.asdict`."""
        return attrs.asdict(self)

    def model_dump_json(self, *, indent: int | None = None) -> str:
        """The record as JSON; without an ``indent``, in one line without spaces."""
        import json  # noqa: PLC0415  few want it, and all would wait for it

        return json.dumps(self.model_dump(), indent=indent, separators=(",", ":") if indent is None else None)
