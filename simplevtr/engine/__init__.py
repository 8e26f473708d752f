"""Training and evaluation runs: processes, trainer, resuming, optimizer, hooks, output folder."""
