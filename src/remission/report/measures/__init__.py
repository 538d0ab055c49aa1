"""Numbers that are computed from groups."""
