"""The command ``async-task-pipeline``.

The rule: results go to stdout (or to ``--output``), everything else to stderr; what a
stage prints counts as everything else, so that it cannot end up among the results.
This file reads the command line and puts the parts together; what each of them may do
stands in its own file.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

import anyio

from .._layout import printable
from ._exit import MEANINGS, PROGRAM, CommandError, Exit, say, show, told
from ._input import Source
from ._job import Job
from ._output import FORMATS, FileSink, StreamSink, sink_for
from ._place import place_of
from ._progress import AboveDisplay, Display
from ._report import can_draw, draw, report_text
from ._stdout import own_stdout
from ._target import find_target

EPILOG = """\
formats:
  lines   Each line of the input, decoded as UTF-8 and without its newline, is an item.
          A result is written as str() has it (bytes as they are), and a newline.
  jsonl   Each line of the input is a JSON value and an item; blank lines are skipped.
          A result is written as JSON in a line.
  An exception that a stage returns instead of raising is told on stderr.

signals:
  The first Ctrl-C ends the input: what has been read is finished and written (the
  file of --output too). The second, and SIGTERM and SIGHUP at once, drop what is
  inside: a stream ends with a whole line, and no file is written. A third kills a
  process in which a call does not return.

exit codes:
""" + "\n".join(f"  {code.value:<5} {meaning}" for code, meaning in MEANINGS.items())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: The arguments; by default those of the process.

    Raises:
        SystemExit: If the arguments are wrong (with code 2), and after ``--help`` and
            ``--version``.
    """
    args = _parser().parse_args(argv)
    try:
        with own_stdout() as stdout:
            return int(_run(args, stdout))
    except KeyboardInterrupt:
        say("interrupted")
        return int(Exit.INTERRUPTED)
    except CommandError as exc:
        told(exc, tracebacks=args.traceback)
        return int(exc.code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(PROGRAM, description="Run pipelines of async_task_pipeline from the shell.")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="run a pipeline over a file or stdin",
        description="Feed the lines of a file or of stdin through a pipeline, and write its results.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = run.add_argument
    add(
        "pipeline",
        metavar="PIPELINE",
        help="module:attribute or path/to/file.py:attribute; a pipeline, or a function without arguments "
        "(async or not) that returns one",
    )
    add("input", metavar="INPUT", nargs="?", default="-", type=_path, help="a file; stdin if it is - or left out")
    add("--format", choices=sorted(FORMATS), default="lines", help="what input and output hold (default: lines)")
    add(
        "--output",
        metavar="FILE",
        type=_path,
        help="write the results to FILE, whole or not at all (default: stdout, as they come)",
    )
    add("--backend", choices=["asyncio", "trio"], default="asyncio", help="the event loop (default: asyncio)")
    add("--uvloop", action="store_true", help="run asyncio on uvloop")
    add("--queue-size", type=_at_least_one, metavar="N", help="replace the pipeline's own max_queue_size")
    add(
        "--report",
        choices=["text", "json", "none"],
        default="none",
        help="time every item, and report at the end (default: none)",
    )
    add("--report-file", metavar="FILE", type=_path, help="write the report to FILE (default: on stderr)")
    add(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="a progress bar on stderr (default: if that is a terminal and the input is none; needs the extra 'cli')",
    )
    add(
        "--log-level",
        choices=["debug", "info", "warning", "error"],
        default="warning",
        help="what to log on stderr (default: warning)",
    )
    add("--traceback", action="store_true", help="show the traceback of what went wrong")
    run.set_defaults(parser=run)
    return parser


class _Version(argparse.Action):
    """Looks the version up only when it is asked for: reading metadata takes time."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it and exit."""
        parser.exit(message=f"{PROGRAM} {importlib.metadata.version(PROGRAM)}\n")


def _path(text: str) -> str:
    if not text:
        raise argparse.ArgumentTypeError("must name a file, not ''")
    return text


def _at_least_one(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return value


def _run(args: argparse.Namespace, stdout: int | None) -> Exit:
    if args.uvloop and args.backend != "asyncio":
        args.parser.error(f"--uvloop is for asyncio; it cannot be used with --backend {args.backend}")
    if args.report_file is not None and args.report == "none":
        args.parser.error("--report-file needs --report text or --report json")
    loop = "uvloop" if args.uvloop else args.backend
    if importlib.util.find_spec(loop) is None:
        raise CommandError(Exit.USAGE, f"{loop} is not installed: pip install '{PROGRAM}[{loop}]'")
    found = find_target(args.pipeline)
    # After the import: a module that has set up logging itself is left alone.
    logging.basicConfig(
        level=args.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", handlers=[_Stderr()]
    )
    output = place_of(args.output, stdout)
    report_place = None if args.report_file is None else place_of(args.report_file, stdout)
    if report_place is not None and output.is_same_as(report_place):
        args.parser.error(f"--report-file {report_place.name!r} is where the results go; they need a place each")
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(contextlib.closing(Source(args.input, args.format)))
        sink = stack.enter_context(sink_for(output))
        report = None if report_place is None else stack.enter_context(sink_for(report_place))
        if report is not None:
            # To know that it can be; no unfinished file is there while the pipeline runs, which a
            # signal may kill.
            report.open()
            report.discard()
        timing = args.report != "none"
        job = Job(args.pipeline, found, source, sink, args.format, args.queue_size, timing, args.traceback)
        with _display(args, source) as job.display:
            if job.display is not None and args.output in {None, "-"} and stdout is not None and os.isatty(stdout):
                job.sink = AboveDisplay(job.display)
            anyio.run(job.run, backend=args.backend, backend_options={"use_uvloop": True} if args.uvloop else {})
        if job.written is not None and args.output not in {None, "-"}:
            say(f"wrote {job.written:,} result{'s' * (job.written != 1)} to {printable(args.output)}")
        _report(job, args, report)
    if job.failure is None:
        return job.code
    if isinstance(job.failure, KeyboardInterrupt):
        raise job.failure
    told(job.failure, tracebacks=args.traceback)
    return job.code


class _Stderr(logging.Handler):
    """Writes to stderr as everything else does, above the progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; one that cannot be formatted is no failure of who logged it."""
        try:
            show(self.format(record))
        except Exception:
            self.handleError(record)


def _display(args: argparse.Namespace, source: Source) -> contextlib.AbstractContextManager[Display | None]:
    wanted = args.progress
    if wanted is None:
        # Where a person types the input, a bar would be drawn over it.
        wanted = sys.stderr is not None and sys.stderr.isatty() and not source.is_terminal
    if wanted:
        try:
            return Display(source)
        except ImportError:
            if args.progress:
                say(f"no progress bar: rich is not installed: pip install '{PROGRAM}[cli]'")
    return contextlib.nullcontext()


def _report(job: Job, args: argparse.Namespace, sink: StreamSink | FileSink | None) -> None:
    if args.report == "none" or job.pipeline is None:
        return
    analysis = job.pipeline.get_report(include_item_details=False)
    if sink is not None:
        sink.open()
        sink.fill(f"{report_text(analysis, args.report)}\n".encode())
        sink.commit()
        if args.report_file != "-":
            say(f"wrote the report to {printable(args.report_file)}")
    elif analysis is not None and args.report == "text" and can_draw():
        draw(analysis)
    else:
        show(report_text(analysis, args.report))
