"""Purifiers: from a suspect model and clean images to a model without its backdoor, if it works."""

from remission.purifiers.anp import ANP
from remission.purifiers.base import (
    Augmenting,
    CleanPurifier,
    Purified,
    Purifier,
    PurifierAugment,
    TriggerPurifier,
    augmentation,
    inverts,
)
from remission.purifiers.bti_dbf_u import BTIDBFUnlearning
from remission.purifiers.clp import CLP
from remission.purifiers.d3 import D3
from remission.purifiers.ep import EP
from remission.purifiers.fp import FP
from remission.purifiers.fst import FST
from remission.purifiers.ft import FT
from remission.purifiers.ft_sam import FTSAM
from remission.purifiers.i_bau import IBAU
from remission.purifiers.nad import NAD
from remission.purifiers.nc import NeuralCleanse
from remission.purifiers.pam import PAM
from remission.purifiers.pam_path import PAMPath
from remission.purifiers.rnp import RNP
from remission.purifiers.sau import SAU
from remission.purifiers.tsc import TSC
from remission.purifiers.undo import UNDO
from remission.purifiers.weight_dist_reg import WeightDistReg
from remission.purifiers.weight_distortion import WeightDistortion
from remission.purifiers.wrapping import WrappingPurifier

__all__ = [
    "ANP",
    "CLP",
    "D3",
    "EP",
    "FP",
    "FST",
    "FT",
    "FTSAM",
    "IBAU",
    "NAD",
    "PAM",
    "RNP",
    "SAU",
    "TSC",
    "UNDO",
    "Augmenting",
    "BTIDBFUnlearning",
    "CleanPurifier",
    "NeuralCleanse",
    "PAMPath",
    "Purified",
    "Purifier",
    "PurifierAugment",
    "TriggerPurifier",
    "WeightDistReg",
    "WeightDistortion",
    "WrappingPurifier",
    "augmentation",
    "inverts",
]
