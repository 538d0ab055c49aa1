"""The structure of any network, found by following its forward pass."""
