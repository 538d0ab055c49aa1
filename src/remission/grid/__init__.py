"""The grid of a spec: the spec itself, the plan, the stages and the processes that run them."""
