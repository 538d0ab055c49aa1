"""Runs the stages in this process, or in worker processes on this machine."""
