"""The grid of a spec: what the user asked, what is to be done, how a stage is computed, by whom."""
