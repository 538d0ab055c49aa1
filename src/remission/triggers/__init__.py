"""Triggers: maps from images to triggered images. They know no labels and no training."""

from remission.triggers.additive import Additive
from remission.triggers.base import Trigger
from remission.triggers.blend import Blend
from remission.triggers.blur import Blur
from remission.triggers.generated import Generated
from remission.triggers.noise import LearnedNoise
from remission.triggers.patch import Patch, checkerboard, corner
from remission.triggers.quantise import Quantise, dither
from remission.triggers.sequence import InSequence, Unchanged
from remission.triggers.steganography import Steganography
from remission.triggers.unet import BottleneckUNet, ImageNetwork, UNet, check_levels
from remission.triggers.warp import Warp, smooth_field

__all__ = [
    "Additive",
    "Blend",
    "Blur",
    "BottleneckUNet",
    "Generated",
    "ImageNetwork",
    "InSequence",
    "LearnedNoise",
    "Patch",
    "Quantise",
    "Steganography",
    "Trigger",
    "UNet",
    "Unchanged",
    "Warp",
    "check_levels",
    "checkerboard",
    "corner",
    "dither",
    "smooth_field",
]
