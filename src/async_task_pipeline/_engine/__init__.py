"""What runs while a pipeline runs: links, windows, stages, input, output.

The rule: the event loop's thread owns all of it. What other threads touch is named in
:py:mod:`._input` (acceptance, under a lock) and in :py:mod:`.._workers._worker` (taking and
writing outcomes, without one).
"""
