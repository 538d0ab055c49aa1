"""A model of unknown origin and a folder of clean images: how they fit together."""
