"""What was found in a model of unknown origin, in sentences and on a page."""
