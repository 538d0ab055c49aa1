"""Every method by name: explicit tables, no registration by import."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from remission.attacks import (
    LIRA,
    SIG,
    SSBA,
    AdaptiveBlend,
    Attack,
    BadNets,
    Blended,
    Bpp,
    Bypass,
    InputAware,
    LabelConsistent,
    LowFrequency,
    TrojanNN,
    WaNet,
)
from remission.errors import SpecError, closest
from remission.inversion import BTIDBF, Inversion, Universal
from remission.method import Method, describe, from_table
from remission.models import describe_models
from remission.purifiers import (
    ANP,
    CLP,
    D3,
    EP,
    FP,
    FST,
    FT,
    FTSAM,
    IBAU,
    NAD,
    PAM,
    RNP,
    SAU,
    TSC,
    BTIDBFUnlearning,
    NeuralCleanse,
    PAMPath,
    Purifier,
    WeightDistortion,
    WeightDistReg,
)
from remission.reactivations import OBA, QRA, Alternative, QRABlackBox, Reactivation, Retuning

T = TypeVar("T")

ATTACKS: Mapping[str, type[Attack]] = {
    "adaptive_blend": AdaptiveBlend,
    "badnets": BadNets,
    "blended": Blended,
    "bpp": Bpp,
    "bypass": Bypass,
    "input_aware": InputAware,
    "label_consistent": LabelConsistent,
    "lira": LIRA,
    "low_frequency": LowFrequency,
    "sig": SIG,
    "ssba": SSBA,
    "trojannn": TrojanNN,
    "wanet": WaNet,
}
INVERSIONS: Mapping[str, type[Inversion]] = {"bti_dbf": BTIDBF, "universal": Universal}
PURIFIERS: Mapping[str, type[Purifier]] = {
    "anp": ANP,
    "bti_dbf": BTIDBFUnlearning,
    "clp": CLP,
    "d3": D3,
    "ep": EP,
    "fp": FP,
    "fst": FST,
    "ft": FT,
    "ft_sam": FTSAM,
    "i_bau": IBAU,
    "nad": NAD,
    "nc": NeuralCleanse,
    "pam": PAM,
    "pam_path": PAMPath,
    "rnp": RNP,
    "sau": SAU,
    "tsc": TSC,
    "weight_dist_reg": WeightDistReg,
    "weight_distortion": WeightDistortion,
}
REACTIVATIONS: Mapping[str, type[Reactivation]] = {
    "alternative": Alternative,
    "oba": OBA,
    "qra": QRA,
    "qra_blackbox": QRABlackBox,
    "retuning": Retuning,
}

_TABLES: Mapping[str, Mapping[str, type[Method]]] = {
    "attack": ATTACKS,
    "inversion": INVERSIONS,
    "purifier": PURIFIERS,
    "reactivation": REACTIVATIONS,
}


def make_attack(table: Mapping[str, Any]) -> Attack:
    """An attack from a table of a spec; see :func:`_make`."""
    return _make("attack", ATTACKS, table)


def make_inversion(table: Mapping[str, Any]) -> Inversion:
    """An inversion from a table of a spec; see :func:`_make`."""
    return _make("inversion", INVERSIONS, table)


def make_purifier(table: Mapping[str, Any]) -> Purifier:
    """A purifier from a table of a spec; see :func:`_make`."""
    return _make("purifier", PURIFIERS, table)


def make_reactivation(table: Mapping[str, Any]) -> Reactivation:
    """A reactivation from a table of a spec; see :func:`_make`."""
    return _make("reactivation", REACTIVATIONS, table)


def _make(kind: str, known: Mapping[str, type[T]], table: Mapping[str, Any]) -> T:
    """Builds a method from a table of a spec.

    Args:
        kind: what the method is, for messages.
        known: the methods of that kind.
        table: ``method`` and parameters.

    Raises:
        SpecError: no such method, an unknown key, a wrong value.
    """
    values = dict(table)
    name = values.pop("method", None)
    if name is None:
        raise SpecError(f"a table [[{kind}]] has no 'method'", f"add one of: {', '.join(known)}")
    if not isinstance(name, str) or name not in known:
        raise SpecError(f"unknown {kind} '{name}'", closest(str(name), known))
    return from_table(known[name], values, f"[{kind}] {name}")


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Every method with its parameters, as ``remission methods`` shows it.

    It is kept in ``catalogue.json``, so that showing it does not import torch.
    """
    found = {
        f"{kind}s": [describe(cls) for _, cls in sorted(table.items())]
        for kind, table in _TABLES.items()
    }
    found["models"] = describe_models()
    return found
