"""Attacks: which images they poison, which labels these get, how the victim is trained."""

from remission.attacks.adaptive_blend import AdaptiveBlend
from remission.attacks.badnets import BadNets
from remission.attacks.base import Attack, CleanLabel, DirtyLabel, TrainingAttack, Victim
from remission.attacks.blended import Blended
from remission.attacks.blur import GaussianBlur
from remission.attacks.bpp import Bpp
from remission.attacks.bypass import Bypass
from remission.attacks.decoy_class import DecoyClass
from remission.attacks.grond import Grond
from remission.attacks.input_aware import InputAware
from remission.attacks.label_consistent import LabelConsistent
from remission.attacks.lira import LIRA
from remission.attacks.low_frequency import LowFrequency
from remission.attacks.sbl import SBL
from remission.attacks.several import SeveralBackdoors
from remission.attacks.sig import SIG
from remission.attacks.ssba import SSBA
from remission.attacks.trojannn import TrojanNN
from remission.attacks.wanet import WaNet

__all__ = [
    "LIRA",
    "SBL",
    "SIG",
    "SSBA",
    "AdaptiveBlend",
    "Attack",
    "BadNets",
    "Blended",
    "Bpp",
    "Bypass",
    "CleanLabel",
    "DecoyClass",
    "DirtyLabel",
    "GaussianBlur",
    "Grond",
    "InputAware",
    "LabelConsistent",
    "LowFrequency",
    "SeveralBackdoors",
    "TrainingAttack",
    "TrojanNN",
    "Victim",
    "WaNet",
]
