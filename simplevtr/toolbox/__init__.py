"""Tools around the model, for datasets, experiments and memory: only commands import them."""
