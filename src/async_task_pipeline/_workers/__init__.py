"""How the items of one stage become outcomes: its workers, and who of them takes what.

The rule: a worker makes calls and decides nothing. What is stale, what an exception means
and where results go is the runner's business.
"""
