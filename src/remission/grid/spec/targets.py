"""The target classes of attacks: one per seed, and numbers in the place of names."""

from __future__ import annotations

from collections.abc import Sequence

from remission.errors import SpecError, closest
from remission.grid.spec.tables import TomlTable
from remission.names import find_name, printable


def by_seed(spec: TomlTable) -> TomlTable:
    """Returns a spec with one table [[attack]] per target in the place of one with several.

    Such a list has one target per seed of its table, or of the spec where the table names none.
    Each of the new tables names the seeds that have its target. What is no list of tables stays as
    it is.

    Args:
        spec: nested tables, as the TOML file holds them.

    Raises:
        SpecError: a list of targets is not as long as the list of seeds.
    """
    attacks, seeds = spec.get("attack"), spec.get("seeds", [0])
    if not isinstance(attacks, list) or not isinstance(seeds, list):
        return spec
    return {**spec, "attack": [one for attack in attacks for one in _per_target(attack, seeds)]}


def _per_target(attack: object, seeds: list[object]) -> list[object]:
    if not isinstance(attack, dict) or not isinstance(targets := attack.get("target"), list):
        return [attack]
    seeds = attack.get("seeds", seeds)
    if not isinstance(seeds, list) or len(targets) != len(seeds):
        where = f"[attack] {attack.get('method')}: 'target' is {targets!r}"
        raise SpecError(where, f"list one class for each of the seeds {seeds}")
    if wrong := [one for one in targets if not isinstance(one, int | str)]:
        where = f"[attack] {attack.get('method')}: 'target' lists {wrong[0]!r}"
        raise SpecError(where, "list numbers or names of classes")
    return [
        {**attack, "target": target, "seeds": [s for s, t in pairs if t == target]}
        for pairs in [list(zip(seeds, targets, strict=True))]
        for target in dict.fromkeys(targets)
    ]


def numbered(
    attacks: Sequence[TomlTable], classes: Sequence[str] | None, dataset: str
) -> list[TomlTable]:
    """Returns the tables [[attack]] with numbers in place of the names of classes.

    So a result has the same identity whether its target was given by name or by number.

    Args:
        attacks: the tables of a spec; those without a name in ``target`` stay as they are.
        classes: the names of the classes, in the order of their indices; empty: not known. None:
            every name becomes 0, so that the rest of the table can be checked before the data set
            is read.
        dataset: how messages call the data set.

    Raises:
        SpecError: no class has the name, or the names are not known.
    """
    return [_numbered(attack, classes, dataset) for attack in attacks]


def _numbered(attack: TomlTable, classes: Sequence[str] | None, dataset: str) -> TomlTable:
    target = attack.get("target")
    if not isinstance(target, str) or target == "all-to-all":
        return attack
    return {**attack, "target": 0 if classes is None else _index(attack, classes, dataset)}


def _index(attack: TomlTable, classes: Sequence[str], dataset: str) -> int:
    where, target = f"[attack] {attack.get('method')}", str(attack["target"])
    if not classes:
        raise SpecError(
            f"{where}: target '{target}' is a name, and the classes of '{dataset}' are not known "
            "before its files are on this computer",
            f"run: remission data fetch {dataset}, or give the number of the class",
        )
    name = find_name(target, classes)
    if name is None:
        remedy = closest(target, [*classes, "all-to-all"])
        if target.isdecimal() and len(target) < 10 and int(target) < len(classes):
            called = printable(classes[int(target)])
            remedy = f"for class number {int(target)}, '{called}', write {int(target)} unquoted"
        raise SpecError(f"{where}: '{dataset}' has no class '{target}'", remedy)
    return list(classes).index(name)
