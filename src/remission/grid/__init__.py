"""A spec's grid: what is to be computed, where it is kept, who computes it."""
