"""Trigger inversion, from a model and clean images, and the sources of purifiers' triggers."""

from remission.inversion.base import Inversion, Inverted
from remission.inversion.bti_dbf import BTIDBF
from remission.inversion.sources import InvertedSource, KnownSource, TriggerSource
from remission.inversion.universal import Universal
from remission.inversion.voted import Voted
from remission.triggers import UNet

__all__ = [
    "BTIDBF",
    "Inversion",
    "Inverted",
    "InvertedSource",
    "KnownSource",
    "TriggerSource",
    "UNet",
    "Universal",
    "Voted",
]
