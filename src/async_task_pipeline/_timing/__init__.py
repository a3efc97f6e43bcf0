"""What a pipeline knows of the time that items took: records, distributions, the report.

The rule: what is here reads what the engine has recorded, and touches nothing.
"""
