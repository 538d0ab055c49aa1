"""Computes stages in this process, in workers of this computer, or on a Ray cluster."""
