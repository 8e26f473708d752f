"""Ablations: a plan of named config deltas, the commands that run it, and tables of what came out.

``tools/ablate.py`` is the command.
"""
