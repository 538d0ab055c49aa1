"""The rows of the leaderboard: each setting of each purifier, over all attacks and under each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from remission.records.ensemble import EnsembleDetails
from remission.records.kinds import ENSEMBLE
from remission.records.labels import purifier_key
from remission.report.groups.facts import MethodFacts
from remission.report.groups.group import Group
from remission.report.groups.keys import GroupKey
from remission.report.groups.labels import MethodKey, label_methods, trigger_of
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.groups.titles import titles
from remission.report.measures.board_numbers import (
    GAP,
    BoardNumber,
    BoardNumbers,
    Numbers,
    at_bound,
    joined,
)
from remission.report.measures.frontier import paired_difference
from remission.report.measures.held_out import Trials
from remission.report.measures.purified import PurifiedCells, purified, together
from remission.report.measures.worst_gap import BOUNDS, Ensembles, tried

ALL = "all attacks"
"""The name of the rows over all attacks."""
COMPARED = (GAP, *map(at_bound, BOUNDS))
"""The numbers whose paired differences are computed."""

_EnsembleIds = Mapping[GroupKey, Mapping[tuple[MethodKey, int], Sequence[str]]]


@dataclass(frozen=True, kw_only=True)
class BoardRow:
    """A purifier with its setting, under one attack or over all attacks.

    Args:
        key: data set, model and setting of the runs, of one of the attacks.
        setting: the difference of these runs to others of the same data set and model.
        attack: the title of the attack, or :data:`ALL`.
        attacks: the number of attacks behind the row.
        attacks_of_board: the number of all attacks on this data set and model.
        purifier: the method with its parameters.
        label: its name among the others of the board.
        numbers: name -> number.
        cells: the cells that were purified, and the others.
        needs: what the purifier was given besides the victim.
        trials: the settings that were tried on other victims.
        names_of_attacks: the methods of the attacks.
    """

    key: GroupKey
    setting: str
    attack: str
    attacks: int
    attacks_of_board: int
    purifier: MethodKey
    label: str
    numbers: Numbers
    cells: PurifiedCells
    needs: tuple[str, ...]
    trials: Trials
    names_of_attacks: tuple[str, ...]

    def number(self, name: str) -> BoardNumber:
        """Returns a number by its name; one without cells where it was not measured."""
        return self.numbers.get(name, BoardNumber())

    @property
    def knows_trigger(self) -> bool:
        """Whether the purifier works with the attacker's own trigger."""
        return "true trigger" in self.needs

    def order(self) -> tuple[float, str]:
        """Returns a key to sort by: the standard gap, the smallest first, then the label."""
        mean = self.number(GAP).estimate.mean
        return math.inf if mean is None else mean, self.label


@dataclass(frozen=True, kw_only=True)
class Board:
    """All rows of one data set, model and setting of the runs.

    Args:
        groups: its attacks.
        setting: the difference to others of the same data set and model; mostly empty.
        rows: those over all attacks first, then those of each attack; each part in its order.
    """

    groups: Sequence[Group]
    setting: str
    rows: Sequence[BoardRow]

    @cached_property
    def overall(self) -> list[BoardRow]:
        """The rows over all attacks."""
        return [row for row in self.rows if row.attack == ALL]


@dataclass(frozen=True, kw_only=True)
class RowDifference:
    """The paired difference of two rows, the first minus the second.

    Args:
        first: index of the first row in its board.
        second: index of the second row, which is larger.
        values: for each of :data:`COMPARED` the mean, half the width of the 95 % Student-t
            interval and the number of cells; None where no cell has both.
    """

    first: int
    second: int
    values: tuple[tuple[float, float | None, int] | None, ...]


def boards(results: Results) -> list[Board]:
    """Returns the boards of these results, in the order of the tables."""
    ensembles, ids = tried(results), _ensemble_ids(results)
    facts, trials = MethodFacts(results), Trials.of(results.trials)
    pairs = zip(results.overviews, results.overview_settings, strict=True)
    return [
        _Maker(groups, setting, ensembles, ids, facts, trials).board() for groups, setting in pairs
    ]


def _ensemble_ids(results: Results) -> _EnsembleIds:
    """Returns group -> (purifier, seed) -> the records of ensembles."""
    found: dict[GroupKey, dict[tuple[MethodKey, int], list[str]]] = {}
    for record in results:
        if record.kind != ENSEMBLE.name or record.status != "done":
            continue
        details = EnsembleDetails.of(record)
        if details.attack is None or details.purifier is None or details.seed is None:
            continue
        key = results.key_of_columns(vars(details), record)
        model = purifier_key(details.purifier, details.purifier_params), details.seed
        found.setdefault(key, {}).setdefault(model, []).append(record.id)
    return found


class _Maker:
    """Makes the rows of one board."""

    def __init__(
        self,
        groups: Sequence[Group],
        setting: str,
        ensembles: Ensembles,
        ids: _EnsembleIds,
        facts: MethodFacts,
        trials: Trials,
    ) -> None:
        self.groups, self.setting = groups, setting
        self.ensembles, self.ids = ensembles, ids
        self.facts, self.trials = facts, trials
        self.names = titles(groups)
        # The labels of a store with several boards name parameters that differ between boards.
        self.labels = label_methods(row.purifier for group in groups for row in group.purified)

    def board(self) -> Board:
        by_purifier: dict[MethodKey, list[tuple[Group, Row, Numbers]]] = {}
        for group in self.groups:
            for row in group.purified:
                measured = BoardNumbers(
                    group, row, self.names[group.key], self.ensembles, self.ids.get(group.key, {})
                )
                parts = by_purifier.setdefault(row.purifier, [])
                parts.append((group, row, measured.all()))
        overall = [self._row(ALL, parts) for parts in by_purifier.values()]
        rows = sorted(overall, key=BoardRow.order)
        for name in self.names.values():
            single = [
                self._row(name, [part])
                for parts in by_purifier.values()
                for part in parts
                if self.names[part[0].key] == name
            ]
            rows += sorted(single, key=BoardRow.order)
        return Board(groups=self.groups, setting=self.setting, rows=rows)

    def _row(self, attack: str, parts: Sequence[tuple[Group, Row, Numbers]]) -> BoardRow:
        group, row, _ = parts[0]
        return BoardRow(
            key=group.key,
            setting=self.setting,
            attack=attack,
            attacks=len(parts),
            attacks_of_board=len(self.groups),
            purifier=row.purifier,
            label=self.labels[row.purifier],
            numbers=joined([numbers for _, _, numbers in parts]),
            cells=together(purified(group, row) for group, row, _ in parts),
            needs=self._needs(row.purifier),
            trials=self.trials,
            names_of_attacks=tuple(group.key.attack.name for group, _, _ in parts),
        )

    def _needs(self, purifier: MethodKey) -> tuple[str, ...]:
        """Returns what a purifier is given, with the trigger that its setting names."""
        needs = self.facts.of("purifier", purifier.name).get("needs", ())
        given = {"true": "true trigger", "inverted": "inverted trigger"}
        trigger = given.get(trigger_of(purifier.parameters) or "")
        rest = [need for need in needs if not trigger or need not in given.values()]
        return (*rest, *([trigger] if trigger else []))


def differences(board: Board) -> list[RowDifference]:
    """Returns the differences of all pairs of rows of the same attack, or over all attacks."""
    return [
        RowDifference(
            first=first,
            second=second,
            values=tuple(_difference(one, other, name) for name in COMPARED),
        )
        for first, one in enumerate(board.rows)
        for second, other in enumerate(board.rows[first + 1 :], first + 1)
        if one.attack == other.attack
    ]


def _difference(
    one: BoardRow, other: BoardRow, name: str
) -> tuple[float, float | None, int] | None:
    mean, half, cells = paired_difference(one.number(name).cells, other.number(name).cells)
    return (mean, half, cells) if cells else None
