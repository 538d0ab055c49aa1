"""Every method by name: explicit tables, no registration by import."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from remission.names import composed
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


_BASES: Mapping[str, type[Method]] = {
    "attack": Attack,
    "inversion": Inversion,
    "purifier": Purifier,
    "reactivation": Reactivation,
}
_RESERVED = ("control", "none", "victim")
"""What tables call the rows that no method made."""
_own: dict[str, dict[str, tuple[type[Method], str]]] = {kind: {} for kind in _BASES}
"""Methods of one's own by kind and name, each with the file that it comes from."""


def set_own(origin: str, classes: Sequence[type[Method]]) -> None:
    """Makes methods of one's own known, in place of all that the same file gave before.

    Args:
        origin: the file that they come from.
        classes: concrete attacks, inversions, purifiers or reactivations.

    Raises:
        SpecError: one is none of these, or another method of its kind has its name; then nothing
            is changed.
    """
    kept = {
        kind: {name: (cls, where) for name, (cls, where) in methods.items() if where != origin}
        for kind, methods in _own.items()
    }
    for cls in classes:
        kind = next((kind for kind, base in _BASES.items() if issubclass(cls, base)), None)
        if kind is None:
            raise SpecError(
                f"'{origin}': {cls.__name__} is no method of a kind",
                "derive it from Attack, Inversion, Purifier or Reactivation",
            )
        other = "the package" if cls.name in (*_TABLES[kind], *_RESERVED) else None
        if cls.name in kept[kind]:
            other = f"'{kept[kind][cls.name][1]}'"
        if other:
            raise SpecError(
                f"'{origin}': {cls.__name__} is called '{cls.name}', as a method of {other} is",
                "give it another name",
            )
        kept[kind][cls.name] = cls, origin
    _own.update(kept)


def known(kind: str) -> dict[str, type[Method]]:
    """The methods of a kind by name: those of the package, and one's own."""
    own = {name: cls for name, (cls, _) in _own[kind].items()}
    return {**_TABLES[kind], **own}


def make_attack(table: Mapping[str, Any]) -> Attack:
    """An attack from a table of a spec; see :func:`_make`."""
    made: Attack = _make("attack", table)
    return made


def make_inversion(table: Mapping[str, Any]) -> Inversion:
    """An inversion from a table of a spec; see :func:`_make`."""
    made: Inversion = _make("inversion", table)
    return made


def make_purifier(table: Mapping[str, Any]) -> Purifier:
    """A purifier from a table of a spec; see :func:`_make`."""
    made: Purifier = _make("purifier", table)
    return made


def make_reactivation(table: Mapping[str, Any]) -> Reactivation:
    """A reactivation from a table of a spec; see :func:`_make`."""
    made: Reactivation = _make("reactivation", table)
    return made


def _make(kind: str, table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Builds a method from a table of a spec.

    Args:
        kind: what the method is, for messages.
        table: ``method`` and parameters.

    Raises:
        SpecError: no such method, an unknown key, a wrong value.
    """
    values, methods = dict(table), known(kind)
    name = values.pop("method", None)
    if name is None:
        raise SpecError(f"a table [[{kind}]] has no 'method'", f"add one of: {', '.join(methods)}")
    name = composed(name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in methods:
        hint = f"{closest(str(name), methods)}; a file of your own: --methods FILE.py"
        raise SpecError(f"unknown {kind} '{name}'", hint)
    return from_table(methods[name], values, f"[{kind}] {name}")


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
