"""Files of unknown origin, read without executing anything: what they hold, as inert values."""

from remission.checkpoints.modules import state_of
from remission.checkpoints.pictures import image_of
from remission.checkpoints.reading import read_checkpoint
from remission.checkpoints.tensors import copied
from remission.checkpoints.values import Container, Loaded, Opaque

__all__ = [
    "Container",
    "Loaded",
    "Opaque",
    "copied",
    "image_of",
    "read_checkpoint",
    "state_of",
]
