"""Tools around the model, for datasets, experiments and memory: no other room imports them."""
