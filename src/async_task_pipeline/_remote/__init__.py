"""Workers that are other processes or interpreters.

The rule: seen from the stage they are as any worker; a thread here speaks with each.
"""
