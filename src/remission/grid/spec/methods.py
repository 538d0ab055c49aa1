"""The methods that a spec names: each is built once from its table and checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from remission.attacks import Attack
from remission.errors import SpecError, closest
from remission.grid.spec.tables import TomlTable
from remission.inversion import Inversion
from remission.purifiers import Purifier, inverts
from remission.reactivations import Reactivation, Retuning
from remission.registry import make_attack, make_inversion, make_purifier, make_reactivation
from remission.training.batches import Augment

_OF_THE_ATTACK = ("seeds",)
"""Keys of an attack's table that are not parameters of its method."""
_OF_THE_PURIFIER = ("inversion", "seeds")
"""Keys of a purifier's table that are not parameters of its method."""
_OF_THE_REACTIVATION = ("attacks",)
"""Keys of a reactivation's table that are not parameters of its method."""


@dataclass(frozen=True, kw_only=True)
class PlannedAttack:
    """One table [[attack]], or one target of a table with several.

    Args:
        attack: the method.
        seeds: the seeds of the spec for which it is computed.
    """

    attack: Attack
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class PlannedPurifier:
    """One table [[purifier]].

    Args:
        purifier: the method.
        inversion: the inversion that it uses if it inverts the trigger.
        seeds: the seeds of the spec for which it is computed.
    """

    purifier: Purifier
    inversion: Inversion
    seeds: tuple[int, ...]

    @property
    def inverts(self) -> bool:
        """Whether the purifier works with an inverted trigger."""
        return inverts(self.purifier)


@dataclass(frozen=True, kw_only=True)
class PlannedReactivation:
    """One table [[reactivation]] or [[ensemble]].

    Args:
        reactivation: the method.
        attacks: the names of the attacks after which it is tried.
    """

    reactivation: Reactivation
    attacks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SpecMethods:
    """All methods of a spec, in the order of its tables."""

    attacks: tuple[PlannedAttack, ...]
    purifiers: tuple[PlannedPurifier, ...]
    inversions: tuple[Inversion, ...]
    """At least one; the first is the one that a purifier uses unless its table names another."""
    reactivations: tuple[PlannedReactivation, ...]
    ensemble: tuple[PlannedReactivation, ...] = ()
    """The retunings that are tried together in one stage per model."""

    def tried_after(self, attack: str) -> Iterator[tuple[str, Reactivation]]:
        """Yields every reactivation after an attack, with the section of the spec that names it."""
        sections = {"reactivation": self.reactivations, "ensemble": self.ensemble}
        for section, listed in sections.items():
            for planned in listed:
                if attack in planned.attacks:
                    yield section, planned.reactivation

    @property
    def retuning(self) -> Retuning | None:
        """The first retuning, which a path may continue to; None without one."""
        for planned in self.reactivations:
            method = planned.reactivation
            if isinstance(method, Retuning) and method.name == Retuning.name:
                return method
        return None


def build_methods(
    *,
    attacks: Sequence[TomlTable],
    purifiers: Sequence[TomlTable],
    inversions: Sequence[TomlTable],
    reactivations: Sequence[TomlTable],
    ensemble: Sequence[TomlTable] = (),
    seeds: Sequence[int],
    augment: Augment,
) -> SpecMethods:
    """Builds every method of a spec.

    Args:
        attacks: the tables [[attack]].
        purifiers: the tables [[purifier]].
        inversions: the tables [[inversion]], at least one.
        reactivations: the tables [[reactivation]].
        ensemble: the tables [[ensemble]].
        seeds: the seeds of the spec.
        augment: the augmentation of the table [victim], for the purifiers that follow it. It takes
            the place of ``"victim"`` here, so that settings, records and cells never hold that word
            and ``augment = "none"`` has the same identity as ``"victim"`` where the two are equal.

    Raises:
        SpecError: an unknown method, an unknown key, a wrong value; an attack whose `seeds`, a
            purifier whose `seeds` or `inversion`, or a reactivation whose `attacks`, the spec does
            not have.
    """
    built_attacks = tuple(
        PlannedAttack(
            attack=make_attack(_without(table, _OF_THE_ATTACK)),
            seeds=_seeds(table, seeds, "attack"),
        )
        for table in attacks
    )
    built_purifiers = [
        make_purifier(_without(table, _OF_THE_PURIFIER)).resolved(augment) for table in purifiers
    ]
    seeds_of = [_seeds(table, seeds, "purifier") for table in purifiers]
    built_inversions = _inversions(inversions)
    planned = tuple(
        PlannedPurifier(
            purifier=purifier,
            inversion=_inversion(table, purifier, built_inversions),
            seeds=chosen,
        )
        for table, purifier, chosen in zip(purifiers, built_purifiers, seeds_of, strict=True)
    )
    built_reactivations = [
        make_reactivation(_without(table, _OF_THE_REACTIVATION)) for table in reactivations
    ]
    names = list(dict.fromkeys(planned.attack.name for planned in built_attacks))
    return SpecMethods(
        attacks=built_attacks,
        purifiers=planned,
        inversions=built_inversions,
        reactivations=tuple(
            PlannedReactivation(
                reactivation=reactivation, attacks=_attacks(table, names, "reactivation")
            )
            for table, reactivation in zip(reactivations, built_reactivations, strict=True)
        ),
        ensemble=tuple(
            PlannedReactivation(
                reactivation=_retuning(table), attacks=_attacks(table, names, "ensemble")
            )
            for table in ensemble
        ),
    )


def _inversions(tables: Sequence[TomlTable]) -> tuple[Inversion, ...]:
    """Builds the inversions, each method once."""
    built = tuple(make_inversion(table) for table in tables)
    if len({inversion.name for inversion in built}) < len(built):
        raise SpecError("[[inversion]]: two of one method", "keep one of them")
    return built


def _retuning(table: TomlTable) -> Retuning:
    """Returns a retuning of the ensemble; its table may leave out the method."""
    if (name := table.get("method", Retuning.name)) != Retuning.name:
        raise SpecError(
            f"[ensemble]: 'method' is {name!r}, and an ensemble consists of retunings",
            "leave the key out",
        )
    try:
        retuning = make_reactivation(
            {"method": Retuning.name, **_without(table, _OF_THE_REACTIVATION)}
        )
    except SpecError as error:
        problem = error.problem.replace("[reactivation]", "[ensemble]", 1)
        raise SpecError(problem, error.remedy) from error
    assert isinstance(retuning, Retuning)
    return retuning


def _without(table: TomlTable, keys: tuple[str, ...]) -> TomlTable:
    return {key: value for key, value in table.items() if key not in keys}


def _seeds(table: TomlTable, known: Sequence[int], section: str) -> tuple[int, ...]:
    """Returns the seeds for which a method is computed: all if its table names none."""
    seeds = table.get("seeds", list(known))
    listed = seeds if isinstance(seeds, list) else []
    if not listed or not all(type(seed) is int and seed in known for seed in listed):
        raise SpecError(
            f"[{section}] {table.get('method')}: 'seeds' is {seeds!r}",
            f"list some of the spec's, which are {list(known)}",
        )
    return tuple(listed)


def _inversion(table: TomlTable, purifier: Purifier, built: Sequence[Inversion]) -> Inversion:
    """Returns the inversion that a purifier would use: the first if its table names none."""
    by_name = {inversion.name: inversion for inversion in built}
    name = table.get("inversion", built[0].name)
    if "inversion" in table and not inverts(purifier):
        raise SpecError(
            f"[purifier] {purifier.name}: 'inversion' is {name!r}, and it inverts nothing",
            "leave the key out",
        )
    if not isinstance(name, str) or name not in by_name:
        raise SpecError(
            f"[purifier] {table.get('method')}: the spec has no inversion {name!r}",
            closest(str(name), by_name),
        )
    return by_name[name]


def _attacks(table: TomlTable, names: Sequence[str], section: str) -> tuple[str, ...]:
    """Returns the attacks after which a reactivation is tried: all if its table names none."""
    attacks = table.get("attacks", list(names))
    listed = attacks if isinstance(attacks, list) else []
    if not listed or not all(isinstance(name, str) and name in names for name in listed):
        raise SpecError(
            f"[{section}] {table.get('method', Retuning.name)}: 'attacks' is {attacks!r}",
            f"list some of the spec's, which are {', '.join(names)}",
        )
    return tuple(listed)
