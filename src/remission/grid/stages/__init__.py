"""The stages: their inputs, their computation, their results."""
