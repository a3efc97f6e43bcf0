"""Where items come from: producers, sources, and the one place that lets them in.

The rule: an item belongs to its producer until the step in which it is accepted.
"""
