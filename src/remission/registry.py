"""Every method by its name: explicit tables, nothing registers itself when it is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from remission.attacks import (
    LIRA,
    SBL,
    SIG,
    SSBA,
    AdaptiveBlend,
    Attack,
    BadNets,
    Blended,
    Bpp,
    Bypass,
    DecoyClass,
    GaussianBlur,
    Grond,
    InputAware,
    LabelConsistent,
    LowFrequency,
    SeveralBackdoors,
    TrojanNN,
    WaNet,
)
from remission.errors import SpecError, closest
from remission.inversion import BTIDBF, Inversion, Universal, Voted
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
    UNDO,
    BTIDBFUnlearning,
    NeuralCleanse,
    PAMPath,
    Purifier,
    WeightDistortion,
    WeightDistReg,
    WrappingPurifier,
)
from remission.purifiers.wrapping import EXAMPLE
from remission.reactivations import OBA, QRA, Alternative, QRABlackBox, Reactivation, Retuning

ATTACKS: Mapping[str, type[Attack]] = {
    "adaptive_blend": AdaptiveBlend,
    "badnets": BadNets,
    "blended": Blended,
    "blur": GaussianBlur,
    "bpp": Bpp,
    "bypass": Bypass,
    "decoy_class": DecoyClass,
    "grond": Grond,
    "input_aware": InputAware,
    "label_consistent": LabelConsistent,
    "lira": LIRA,
    "low_frequency": LowFrequency,
    "sbl": SBL,
    "several": SeveralBackdoors,
    "sig": SIG,
    "ssba": SSBA,
    "trojannn": TrojanNN,
    "wanet": WaNet,
}
INVERSIONS: Mapping[str, type[Inversion]] = {
    "bti_dbf": BTIDBF,
    "universal": Universal,
    "voted": Voted,
}
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
    "undo": UNDO,
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
"""The names of rows of tables that belong to no method; no method can have them."""
_own: dict[str, dict[str, tuple[type[Method], str]]] = {kind: {} for kind in _BASES}
"""The user's methods: kind -> name -> class and the file that defines it."""


def set_own(origin: str, classes: Sequence[type[Method]]) -> None:
    """Makes a user's methods known, in place of all that the same file defined before.

    Args:
        origin: the file that defines them.
        classes: concrete attacks, inversions, purifiers or reactivations.

    Raises:
        SpecError: a class is none of these, or another method of its kind has its name; then
            nothing is changed.
    """
    methods_now = {
        kind: {name: (cls, where) for name, (cls, where) in methods.items() if where != origin}
        for kind, methods in _own.items()
    }
    for cls in classes:
        kind = next((kind for kind, base in _BASES.items() if issubclass(cls, base)), None)
        if kind is None:
            raise SpecError(
                f"'{origin}': {cls.__name__} is no attack, inversion, purifier or reactivation",
                "derive it from Attack, Inversion, Purifier or Reactivation",
            )
        other = "the package" if cls.name in (*_TABLES[kind], *_RESERVED) else None
        if cls.name in methods_now[kind]:
            other = f"'{methods_now[kind][cls.name][1]}'"
        if other:
            raise SpecError(
                f"'{origin}': {cls.__name__} is called '{cls.name}', like a method of {other}",
                "give it another name",
            )
        methods_now[kind][cls.name] = cls, origin
    _own.update(methods_now)


def known(kind: str) -> dict[str, type[Method]]:
    """Name -> method, of one kind: those of the package and the user's."""
    own = {name: cls for name, (cls, _) in _own[kind].items()}
    return {**_TABLES[kind], **own}


def make_attack(table: Mapping[str, Any]) -> Attack:
    """Builds an attack from a table of a spec; see :func:`_make`."""
    attack: Attack = _make("attack", table)
    return attack


def make_inversion(table: Mapping[str, Any]) -> Inversion:
    """Builds an inversion from a table of a spec; see :func:`_make`."""
    inversion: Inversion = _make("inversion", table)
    return inversion


def make_purifier(table: Mapping[str, Any]) -> Purifier:
    """Builds a purifier from a table of a spec; see :func:`_make`."""
    purifier: Purifier = _make("purifier", table)
    return purifier


def make_reactivation(table: Mapping[str, Any]) -> Reactivation:
    """Builds a reactivation from a table of a spec; see :func:`_make`."""
    reactivation: Reactivation = _make("reactivation", table)
    return reactivation


def _make(kind: str, table: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Builds a method from a table of a spec.

    Args:
        kind: ``"attack"``, ``"inversion"``, ``"purifier"`` or ``"reactivation"``.
        table: ``method`` and the parameters.

    Raises:
        SpecError: there is no such method, a key is unknown, or a value is wrong.
    """
    values, methods = dict(table), known(kind)
    name = values.pop("method", None)
    if name is None:
        raise SpecError(f"a table [[{kind}]] has no 'method'", f"add one of: {', '.join(methods)}")
    name = composed(name) if isinstance(name, str) else name
    if not isinstance(name, str) or name not in methods:
        hint = f"{closest(str(name), methods)}; methods of your own: --methods FILE.py"
        raise SpecError(f"unknown {kind} '{name}'", hint)
    cls, where = methods[name], f"[{kind}] {name}"
    if issubclass(cls, WrappingPurifier) and "base" in values:
        values["base"] = _make_base(values["base"], where)
    return from_table(cls, values, where)


_BESIDE_BASE = ("inversion", "seeds", "sweep")
"""Keys of a table [[purifier]] that are no parameters of its method."""


def _make_base(table: object, where: str) -> Purifier:
    """Builds the purifier inside another one from its table.

    Args:
        table: ``method`` and the parameters.
        where: the place of the outer table in messages.

    Raises:
        SpecError: as for any table; or ``table`` is none, or its method has a base itself.
    """
    if not isinstance(table, Mapping):
        raise SpecError(f"{where}: 'base' is {table!r}", f"write a table, for example {EXAMPLE}")
    for key in _BESIDE_BASE:
        if key in table:
            raise SpecError(
                f"{where}: 'base' has the key '{key}'", f"write '{key}' beside 'base', not in it"
            )
    name = str(table.get("method"))
    if issubclass(known("purifier").get(name, Purifier), WrappingPurifier):
        raise SpecError(
            f"{where}: 'base' is {name}, which has a base itself", "name another method"
        )
    try:
        return make_purifier(table)
    except SpecError as error:
        raise SpecError(f"{where}: in 'base': {error.problem}", error.remedy) from error


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Describes every method with its parameters, also those of files that were used.

    ``catalogue.json`` holds those of the package, so that showing them does not import torch.
    """
    methods = {
        f"{kind}s": [describe(cls) for _, cls in sorted(known(kind).items())] for kind in _TABLES
    }
    methods["models"] = describe_models()
    return methods
