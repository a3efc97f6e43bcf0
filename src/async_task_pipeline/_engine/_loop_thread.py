"""anyio's threads as the library uses them, and the thread of the loop that they work for.

The rule: when the thread of a loop has ended, every thread that waits for that loop ends too. The main
thread counts as ended when Python begins to shut down; one that Python does not wait for, a daemon, when
Python has begun to and nobody else is left.

Otherwise a program may never exit: on asyncio anyio's threads are no daemons, and Python waits for them
at its end.

- A worker that has parked waits for the loop. A loop that is closed under its pipeline wakes nobody.
- An idle thread of anyio's waits until the task which the loop was run for is done *and the loop has
  called back*. A loop that :py:exc:`SystemExit` or :py:exc:`KeyboardInterrupt` has stopped for the second
  time is closed before: ``asyncio.run`` cancels every task at its end, whoever waited for the task that
  raised it raises it again, and the loop stops in the middle of that. Without a pipeline too, a program
  that has called :py:func:`anyio.to_thread.run_sync` and exits from a task of an
  :py:class:`asyncio.TaskGroup` never exits.

**How the end of a thread is heard of.** What a thread has put into a :py:class:`threading.local` goes when
the thread does, so a ``__del__`` there is called at its end. For the main thread that is too late: Python
waits for other threads first. Before that it ends and joins the idle threads of every
``ThreadPoolExecutor``, as the documentation of that class says (its exit handler "is executed before any
exit handlers added using atexit"). So there is one whose only thread does nothing (:py:class:`_Shutdown`),
and the end of that thread is heard of in the same way. It is there as long as a thread of anyio's that
the library has used: each has a reference to it among what goes with it, and an executor to which nobody
refers any more ends its thread. No run pays for it but the first of a loop.

A daemon thread in ``threading.main_thread().join()`` is woken at the same moment. But nothing can end it
before, so it would be left after the last run; and a subinterpreter may have no daemon threads, and its
main thread is never seen to end from Python 3.13 on. ``threading._register_atexit``, by which the executor
hears of it, is private.

**How an idle thread of anyio's is ended.** By ``stop``, a method of its class which anyio itself calls when
it is not too late. Like ``loop``, by which the threads of a loop are told from those of others, it is not
documented. Both are looked up when they are needed: without them such a program hangs as it would
without the library, and ``test_g10_exits.py`` fails.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import weakref
from collections.abc import Callable
from queue import Full
from typing import Any, Protocol, TypeVar, TypeVarTuple, Unpack

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import current_token

ResultT = TypeVar("ResultT")
ArgsT = TypeVarTuple("ArgsT")

_local = threading.local()
"""What goes with a thread: its :py:class:`LoopThread`, its :py:class:`_AtEnd`, the :py:class:`_Shutdown` it
keeps; each at most once."""


class WaitedForInThreads(Protocol):
    """What threads wait for: a run."""

    def abandon(self) -> None:
        """Have them wait no longer, as the loop never runs again. In any thread."""


class LoopThread:
    """A thread that loops run in, and what waits for them; get it with :py:meth:`here`."""

    def __init__(self) -> None:
        thread = threading.current_thread()
        self._process = os.getpid()
        # Of others Python waits for the end, which is then heard of in them.
        self._is_main = thread is threading.main_thread()
        self._hears_shutdown = self._is_main or thread.daemon
        self._runs: weakref.WeakSet[WaitedForInThreads] = weakref.WeakSet()
        self._loops: weakref.WeakSet[Any] = weakref.WeakSet()
        # The classes of the threads that have served these loops and that Python waits for.
        self._kinds: set[type[threading.Thread]] = set()
        self._shutdown: weakref.ref[_Shutdown] | None = None
        # Taken by whoever needs one, lest two are made.
        self._lock = threading.Lock()
        # The same, while a thread of the application's may be waiting for a run.
        self._kept: _Shutdown | None = None

    @classmethod
    def here(cls) -> LoopThread:
        """That of the current thread."""
        here: LoopThread | None = getattr(_local, "loop_thread", None)
        if here is None or here._process != os.getpid():  # a fork has copied that of another process
            here = _local.loop_thread = cls()
            if not here._is_main:
                _local.at_end = _AtEnd(here._ended)
        return here

    def begin(self, run: WaitedForInThreads) -> None:
        """Know of a run that threads may wait for."""
        self._runs.add(run)

    def forget(self, run: WaitedForInThreads) -> None:
        """Know of it no longer; nobody waits for it."""
        self._runs.discard(run)
        if not self._runs:
            self._kept = None

    def awaited(self) -> None:
        """Know that a thread of the application's is going to wait for a run; in that thread."""
        if self._hears_shutdown and self._kept is None:
            self._kept = self._heard()

    async def run(
        self,
        function: Callable[[Unpack[ArgsT]], ResultT],
        *args: *ArgsT,
        limiter: CapacityLimiter | None = None,
    ) -> ResultT:
        """Run a function in a thread, as :py:func:`anyio.to_thread.run_sync` does.

        Args:
            function: What to run.
            *args: Its arguments.
            limiter: One of the caller's own; never the default one, which is shared with the
                application's file access: 40 busy stages would starve it.
        """
        self._loops.add(current_token().native_token)
        limiter = limiter or CapacityLimiter(1)
        return await to_thread.run_sync(self._enter, function, *args, limiter=limiter)

    def _enter(self, function: Callable[[Unpack[ArgsT]], ResultT], *args: *ArgsT) -> ResultT:
        thread = threading.current_thread()
        if not thread.daemon:  # or Python does not wait for it: trio's
            self._kinds.add(type(thread))
            if self._hears_shutdown:
                # In no variable here: the traceback of what the function raises would keep it.
                _local.shutdown = self._heard()
        return function(*args)

    def _heard(self) -> _Shutdown:
        """What hears of the shutdown for this thread; not on the loop, as starting it takes a tenth of a millisecond."""
        with self._lock:
            found = None if self._shutdown is None else self._shutdown()
            if found is None:
                found = _Shutdown(self)
                self._shutdown = weakref.ref(found)
            return found

    # -- its end ------------------------------------------------------------------------------

    def _ended(self) -> None:
        """End what waits for it, if anything does, as the thread ends."""
        if self._runs or any(map(self._is_served_by, threading.enumerate())):
            _run_beside(self._end)

    def shut_down(self) -> None:
        """The same as Python shuts down."""
        _run_beside(self._end if self._is_main else self._end_last)

    def _end_last(self) -> None:
        # Not before, because another thread may be using what runs here, and stop it when it is done.
        while left := [each for each in threading.enumerate() if self._has_to_end_before(each)]:
            left[0].join()
        self._end()

    def _has_to_end_before(self, thread: threading.Thread) -> bool:
        here = thread in {threading.current_thread(), threading.main_thread()}
        return not (here or thread.daemon or self._is_served_by(thread))

    def _end(self) -> None:
        """Have every thread end that waits for a loop of this one, now or when its function returns."""
        self._kept = None
        for run in [*self._runs]:
            run.abandon()
        for thread in filter(self._is_served_by, threading.enumerate()):
            stop = getattr(thread, "stop", None)
            if stop is not None:
                with contextlib.suppress(Full):  # it has been told to already
                    stop()

    def _is_served_by(self, thread: threading.Thread) -> bool:
        """Whether this is one of anyio's, and of a loop of this thread."""
        return type(thread) in self._kinds and any(loop is getattr(thread, "loop", None) for loop in [*self._loops])


class _AtEnd:
    """Calls a function at the end of the thread in whose ``_local`` it is."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._process = os.getpid()

    def __del__(self) -> None:
        # In a fork the other threads have ended, and their locks may be locked; where Python itself is
        # being taken down, nobody waits for a thread any more.
        if self._process == os.getpid() and not sys.is_finalizing():
            self._function()


def _run_beside(function: Callable[[], object]) -> None:
    """Run a function in a thread of its own: one that is ending is no place to log, or to wait."""
    try:
        threading.Thread(target=function, name="async_task_pipeline", daemon=False).start()
    except RuntimeError:  # up to Python 3.12.1 there is none to be had while Python waits for others
        function()


class _Shutdown:
    """A thread that ends when Python has begun to shut down, or when nobody refers to this any more."""

    def __init__(self, loop_thread: LoopThread) -> None:
        with contextlib.suppress(RuntimeError):  # Python has begun to already, or has no thread
            # Not before, because importing it has Python call something at its end.
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

            self._executor = ThreadPoolExecutor(1, "async_task_pipeline")
            self._executor.submit(_hear, weakref.ref(self), loop_thread)


def _hear(shutdown: weakref.ref[_Shutdown], loop_thread: LoopThread) -> None:
    # Made here, in the thread with which it goes: on free-threaded builds an object is deleted by the
    # thread that has made it.
    _local.at_end = _AtEnd(lambda: None if shutdown() is None else loop_thread.shut_down())
