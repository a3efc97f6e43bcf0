"""The model tester: ``python tests/model N [--first SEED] [--switch-interval SECONDS]``.

The rule: N cases, one for each seed from the first on, each on the backend of its seed. The first that
fails ends it, with what it was and how to run it again.
"""

from __future__ import annotations

import argparse
import faulthandler
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).absolute().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="python tests/model", description=__doc__)
    parser.add_argument("cases", type=int, metavar="N")
    parser.add_argument("--first", type=int, default=0, metavar="SEED")
    parser.add_argument("--switch-interval", type=float, default=sys.getswitchinterval(), metavar="SECONDS")
    parser.add_argument("--again", type=int, default=1, help="how many times to play each seed", metavar="TIMES")
    return parser.parse_args()


def main():
    sys.path.insert(0, str(ROOT))
    import anyio

    from async_task_pipeline import logger
    from tests.model.case import DEADLINE, Case, backend_of

    args = arguments()
    logger.propagate = False  # what is strange in the log the case itself tells
    sys.setswitchinterval(args.switch_interval)
    for seed in range(args.first, args.first + args.cases):
        backend, options = backend_of(seed)
        for _ in range(args.again):
            case = None

            async def play(seed=seed, native=backend == "asyncio"):
                nonlocal case
                case = Case(seed, native=native)
                await case.play()

            # A loop that is blocked does not see the deadline.
            faulthandler.dump_traceback_later(3 * DEADLINE, exit=True)
            try:
                anyio.run(play, backend=backend, backend_options=options)
            except BaseException:
                traceback.print_exc()
                print(f"FAILED on {backend} {options}: {case!r}")
                print(
                    f"again: python tests/model 1 --first {seed} --switch-interval {args.switch_interval} --again 100"
                )
                return 1
            finally:
                faulthandler.cancel_dump_traceback_later()
    print(
        f"{args.cases} cases from seed {args.first} on, each {args.again} times, Python {sys.version.split()[0]}: all passed"
    )
    return 0


sys.exit(main())
