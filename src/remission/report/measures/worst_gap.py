"""The worst gap: how much of a backdoor the best of many retunings brings back.

An ensemble retunes a model in many ways. Let A_0 be the clean accuracy of a model before any of
them, and A and P its clean accuracy and its ASR after one of them, all on the images of the
validation. Within a bound b are the retunings with

    A_0 - A <= b,

and the worst of these is the one with the largest P; of several, the one with the largest A. The
control has a worst retuning of its own, chosen in the same way among the same retunings. The *worst
gap* is the ASR of the model after its worst retuning minus the ASR of the control after the
control's, both on test images. Where no retuning of a model is within the bound, its ASR before any
of them counts.

A model that the purifier left with its backdoor has a worst gap, too. Intervals (95 %) are those of
:func:`remission.report.groups.estimates.gap`: Newcombe's with one seed, Student's t over several.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from remission.intervals import around, mean_of, student_half_width, wilson_of_rate
from remission.records import Cell
from remission.records.ensemble import EnsembleDetails, EnsembleEntry
from remission.records.kinds import ENSEMBLE
from remission.records.labels import canonical, purifier_key
from remission.report.groups.estimates import Estimate, gap
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL, GroupKey
from remission.report.groups.labels import MethodKey
from remission.report.groups.results import Results
from remission.report.groups.rows import Row
from remission.report.groups.thresholds import at_most
from remission.report.measures.purified import purified_seeds

BOUNDS = (0.01, 0.03, 0.05)
"""The most clean accuracy that a retuning may cost."""
MIDDLE = BOUNDS.index(0.03)
"""The bound that tables are ordered by."""

_Models = dict[MethodKey, dict[int, EnsembleDetails]]
"""Purifier, or the control -> seed -> what each retuning reached."""
Ensembles = dict[GroupKey, dict[str, _Models]]
"""Group -> list of retunings, as a key -> models; the list that was tried last comes last."""


def tried(results: Results) -> Ensembles:
    """Returns all ensembles of a store."""
    found: Ensembles = {}
    for record in sorted(results, key=lambda record: record.finished):
        if record.kind != ENSEMBLE.name or record.status != "done":
            continue
        details = EnsembleDetails.of(record)
        if details.attack is None or details.purifier is None or details.seed is None:
            continue
        lists = found.setdefault(results.key_of_columns(vars(details), record), {})
        key = canonical([[entry.retuning, entry.budget] for entry in details.entries])
        models = lists[key] = lists.pop(key, {})
        purifier = purifier_key(details.purifier, details.purifier_params)
        models.setdefault(purifier, {})[details.seed] = details
    return found


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The worst retuning of one model within a bound.

    Args:
        entry: the retuning with what it reached; None: no retuning is within the bound.
        place: its index in the ensemble.
        measured: the model after it, or as it is.
    """

    entry: EnsembleEntry | None
    index: int | None
    measured: Cell


@dataclass(frozen=True, kw_only=True)
class WorstGap:
    """A purified model under its worst retuning within one bound.

    Args:
        bound: the most clean accuracy that a retuning may cost.
        gap: the worst gap over all seeds with which the model can be judged.
        purified: the same over the seeds with which the model was purified.
        ours: seed -> the worst retuning of the model.
        control: seed -> the worst retuning of the control.
    """

    bound: float
    gap: Estimate
    purified: Estimate
    ours: Mapping[int, Choice]
    control: Mapping[int, Choice]

    @property
    def asr(self) -> float:
        """The mean ASR of the model after its worst retuning."""
        return _mean_asr(self.ours)

    @property
    def control_asr(self) -> float:
        """The mean ASR of the control after the control's worst retuning."""
        return _mean_asr(self.control)


def _mean_asr(choices: Mapping[int, Choice]) -> float:
    return mean_of([choice.measured.asr or 0.0 for choice in choices.values()])


@dataclass(frozen=True, kw_only=True)
class WorstRow:
    """A purifier under one attack.

    Args:
        group: the attack.
        row: the purifier.
        ours: seed -> its ensemble.
        control: seed -> that of the control.
        at: the worst gap at each of :data:`BOUNDS`.
    """

    group: Group
    row: Row
    ours: Mapping[int, EnsembleDetails]
    control: Mapping[int, EnsembleDetails]
    at: tuple[WorstGap, ...]

    @property
    def entries(self) -> Sequence[EnsembleEntry]:
        """The retunings, with what they reached with the first seed."""
        return next(iter(self.ours.values())).entries


def worst_rows(group: Group, ensembles: Ensembles) -> list[WorstRow]:
    """Returns the purifiers of a group that have an ensemble, as the control has."""
    rows = [_worst_row(group, row, ensembles.get(group.key, {})) for row in group.purified]
    return [row for row in rows if row]


def _worst_row(group: Group, row: Row, lists: Mapping[str, _Models]) -> WorstRow | None:
    """Returns the result of the list that the most seeds have; of several, of the last one."""
    control = group.row(CONTROL)
    if control is None:
        return None
    models, seeds = _Models(), frozenset[int]()
    for candidate in lists.values():
        both = candidate.get(row.purifier, {}).keys() & candidate.get(control.purifier, {}).keys()
        usable = (both & before(row).keys() & before(control).keys()) - group.unusable_seeds(row)
        if usable and len(usable) >= len(seeds):
            models, seeds = candidate, frozenset(usable)
    if not seeds:
        return None
    ours = {seed: models[row.purifier][seed] for seed in sorted(seeds)}
    theirs = {seed: models[control.purifier][seed] for seed in sorted(seeds)}
    low = purified_seeds(group, row)
    return WorstRow(
        group=group,
        row=row,
        ours=ours,
        control=theirs,
        at=tuple(
            _worst_gap(_choices(row, ours, bound), _choices(control, theirs, bound), bound, low)
            for bound in BOUNDS
        ),
    )


def before(row: Row) -> dict[int, Cell]:
    """Returns seed -> the model before any retuning, where its validation was measured."""
    return {
        cell.seed: cell
        for cell in row.at(None)
        if cell.status == "done" and None not in (cell.asr, cell.validation_clean_acc)
    }


def _choices(row: Row, ensembles: Mapping[int, EnsembleDetails], bound: float) -> dict[int, Choice]:
    cells = before(row)
    return {seed: choose(cells[seed], of_seed, bound) for seed, of_seed in ensembles.items()}


def choose(untuned: Cell, ensemble: EnsembleDetails, bound: float) -> Choice:
    """Returns the worst retuning of a model within a bound, by validation images.

    Args:
        untuned: the model before any retuning.
        ensemble: what each retuning of it reached.
        bound: the most clean accuracy that it may cost.
    """
    accuracy = untuned.validation_clean_acc or 0.0
    within = [
        (entry.validation_asr, entry.validation_clean_acc, -index)
        for index, entry in enumerate(ensemble.entries)
        if entry.validation_asr is not None
        and entry.validation_clean_acc is not None
        and at_most(accuracy - entry.validation_clean_acc, bound)
    ]
    if not within:
        return Choice(entry=None, index=None, measured=untuned)
    index = -max(within)[2]
    entry = ensemble.entries[index]
    interval = wilson_of_rate(entry.asr, ensemble.n_triggered)
    after = replace(untuned, asr=entry.asr, clean_acc=entry.clean_acc, asr_interval=interval)
    return Choice(entry=entry, index=index, measured=after)


def control_rates(group: Group, ensembles: Ensembles, bound: float) -> dict[int, float]:
    """Returns seed -> ASR of the control after its own worst retuning within a bound.

    Of several lists of retunings it is the last one that was tried on the control.
    """
    control = group.row(CONTROL)
    if control is None:
        return {}
    lists = [models.get(control.purifier, {}) for models in ensembles.get(group.key, {}).values()]
    cells, last = before(control), next(filter(None, reversed(lists)), {})
    chosen = {seed: choose(cells[seed], last[seed], bound) for seed in last if seed in cells}
    return {seed: choice.measured.asr or 0.0 for seed, choice in chosen.items()}


def _worst_gap(
    ours: Mapping[int, Choice],
    control: Mapping[int, Choice],
    bound: float,
    purified: frozenset[int],
) -> WorstGap:
    def over(seeds: Iterable[int]) -> Estimate:
        seeds = list(seeds)
        return gap([ours[s].measured for s in seeds], [control[s].measured for s in seeds])

    return WorstGap(
        bound=bound,
        gap=over(ours),
        purified=over(seed for seed in ours if seed in purified),
        ours=ours,
        control=control,
    )


def over_attacks(gaps: Iterable[Estimate]) -> Estimate:
    """Returns the mean over attacks with Student's t over them; of one attack, its own estimate."""
    known = [number for number in gaps if number.mean is not None]
    if len(known) < 2:
        return known[0] if known else Estimate()
    values = [number.mean for number in known if number.mean is not None]
    mean, half = mean_of(values), student_half_width(values) or 0.0
    count = sum(number.n for number in known)
    return Estimate(mean=mean, half_width=half, n=count, interval=around(mean, half))
