"""What one stage does: its inputs, its computation, its result."""
