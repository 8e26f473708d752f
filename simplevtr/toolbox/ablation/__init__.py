"""Ablations: plan file -> runs -> jobs, which are run, and tables; see tools/ablate.py."""
