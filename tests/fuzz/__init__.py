"""What reads bytes of others, given any bytes: each target may refuse them, and nothing else.

`targets.py` names a function for each reader. Hypothesis gives each some hundred inputs in the
usual tests; `python -m tests.fuzz TARGET --minutes N` searches for as long as one likes, guided by
which lines an input reaches.
"""
