"""The modules that 0.1.10 had, for programs that import from them.

The rule: each gives the names it had then, which are those of ``async_task_pipeline`` itself, and
has nothing of its own.
"""
