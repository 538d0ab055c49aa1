"""Who runs the stages: this process, or worker processes on this machine."""
