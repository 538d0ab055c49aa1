"""Does the path explain the relapse? Rank correlations of the relapse gap with its predictors.

Min et al. (NeurIPS 2024, section 4) explain relapse by the straight line between the backdoored and
the purified model: where the backdoor is back close to the purified model, a few poisoned images
bring it back. If so, the relapse gap falls with the backdoor error along the line and with
``t_back``, and these predict it better than the O-ASR does. Every purified model of a store that
has both a relapse curve and a path is one observation; models of one attack and seed share a victim
and are drawn together in the bootstrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from remission.records import PathCurve
from remission.report.groups.estimates import by_seed
from remission.report.groups.group import Group
from remission.report.groups.keys import CONTROL
from remission.report.groups.results import Results
from remission.report.groups.rows import Column, Row
from remission.report.groups.thresholds import MARGIN, at_most
from remission.report.groups.titles import comparison_title, titles
from remission.report.measures.rank_correlation import Correlation, correlate
from remission.report.measures.scores import seed_gaps

Sign = Literal["+", "-"]


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A measurement that may predict how soon a purified model relapses.

    Args:
        key: its key in :attr:`Case.values`.
        title: the title of its column.
        expected: sign of the correlation if the explanation holds.
    """

    key: str
    title: str
    expected: Sign


PREDICTORS = (
    Predictor(key="o_asr", title="O-ASR", expected="+"),
    Predictor(key="backdoor_error", title="mean backdoor error on the line", expected="-"),
    Predictor(key="t_back", title="t_back (distance to ASR 50 %)", expected="-"),
    Predictor(key="distance", title="weight distance (L2)", expected="-"),
    Predictor(key="clean_barrier", title="clean-error barrier", expected="-"),
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One purified model of one seed, retuned at every budget of its group.

    Args:
        attack: the title of the attack.
        purifier: the label of the purifier.
        seed: the seed of the grid.
        gap: the relapse gap.
        purified: whether its O-ASR is at most ``MARGIN`` above the control's.
        values: key of a predictor -> value, None where it was not measured.
    """

    attack: str
    purifier: str
    seed: int
    gap: float
    purified: bool
    values: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The correlations over some of the cases, by the key of a predictor."""

    name: str
    resampled: str
    n: int
    of: dict[str, Correlation]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The test for one data set, architecture, setting and retuning.

    Args:
        dataset: name of the data set.
        arch: architecture of the models.
        setting: canonical JSON of the data and the recipe behind them.
        difference: what distinguishes this setting from others of the same data set and model;
            mostly empty.
        reactivation: label of the retuning.
        batchnorm: the batch-norm policy of the lines.
        cases: the observations.
        scopes: the correlations.
        predictors: the measurements that may predict how soon a model relapses.
    """

    dataset: str
    arch: str
    setting: str
    difference: str
    reactivation: str
    batchnorm: str
    cases: list[Case]
    scopes: list[Scope]
    predictors: tuple[Predictor, ...] = PREDICTORS

    @property
    def title(self) -> str:
        """For example ``fashion-mnist · resnet18:16 · what predicts relapse``."""
        what = f"what predicts relapse ({self.reactivation})"
        return comparison_title(self.dataset, self.arch, what, self.difference)

    @property
    def attacks(self) -> list[str]:
        """The titles of the attacks, in the order of the store."""
        return list(dict.fromkeys(case.attack for case in self.cases))


def explanations(results: Results) -> list[Explanation]:
    """Runs one test for each data set, architecture and retuning that has at least one case.

    A retuning is any reactivation that trains the model on a number of poisoned images.
    """
    tests = []
    for groups, difference in zip(results.overviews, results.overview_settings, strict=True):
        labels = {
            column.label: None
            for group in groups
            for column in group.columns
            if column.budget and not column.perturbs
        }
        policy = _policy(groups)
        for label in labels:
            cases = _cases(groups, label, policy)
            if cases:
                key = groups[0].key
                tests.append(
                    Explanation(
                        dataset=key.dataset,
                        arch=key.arch,
                        setting=key.setting,
                        difference=difference,
                        reactivation=label,
                        batchnorm=policy,
                        cases=cases,
                        scopes=_scopes(cases),
                    )
                )
    return tests


def _policy(groups: Sequence[Group]) -> str:
    """Returns the policy of the lines: recalibrated if possible, as interpolation adds barriers."""
    policies = {policy for group in groups for _, policy in group.paths}
    return "recalibrated" if "recalibrated" in policies else "interpolated"


def _cases(groups: Sequence[Group], label: str, policy: str) -> list[Case]:
    names, cases = titles(groups), list[Case]()
    for group in groups:
        columns = [c for c in group.columns if c.label == label and c.budget]
        for row in group.rows:
            if not row.reference and not any(group.comparison(row, c).broken for c in columns):
                lines = {line.seed: line for line in group.paths.get((row.label, policy), ())}
                cases += _of_row(group, row, columns, lines, names[group.key])
    return cases


def _of_row(
    group: Group, row: Row, columns: Sequence[Column], lines: dict[int, PathCurve], attack: str
) -> list[Case]:
    before = by_seed(row.cells.get(None, ()), "asr")
    control = group.row(CONTROL)
    reference = by_seed(control.cells.get(None, ()), "asr") if control else {}
    cases = []
    for seed, gap in seed_gaps(group, row, columns, whole=True).items():
        if (line := lines.get(seed)) is None:
            continue
        o_asr = before.get(seed)
        cases.append(
            Case(
                attack=attack,
                purifier=row.label,
                seed=seed,
                gap=gap,
                purified=o_asr is not None and at_most(o_asr - reference.get(seed, 0.0), MARGIN),
                values={
                    "o_asr": o_asr,
                    "backdoor_error": line.mean_backdoor_error,
                    "t_back": line.t_back,
                    "distance": line.distance,
                    "clean_barrier": line.barrier("clean_error"),
                },
            )
        )
    return cases


def _scopes(cases: Sequence[Case]) -> list[Scope]:
    pure = [case for case in cases if case.purified]
    attacks = list(dict.fromkeys(case.attack for case in cases))
    scopes = [_scope("all cells", cases), _scope("purified cells alone", pure)]
    if len(attacks) > 1:
        scopes.append(_scope("within attacks, mean", cases, within=True))
        scopes += [
            _scope(attack, [c for c in cases if c.attack == attack], by="purifier")
            for attack in attacks
        ]
    return [scope for scope in scopes if scope.n]


def _scope(
    name: str,
    cases: Sequence[Case],
    *,
    within: bool = False,
    by: Literal["victim", "purifier"] = "victim",
) -> Scope:
    of = {}
    for predictor in PREDICTORS:
        pairs = [(case, v) for case in cases if (v := case.values[predictor.key]) is not None]
        of[predictor.key] = correlate(
            [value for _, value in pairs],
            [case.gap for case, _ in pairs],
            [(c.attack, c.seed) if by == "victim" else (c.purifier, 0) for c, _ in pairs],
            [case.attack for case, _ in pairs] if within else None,
        )
    resampled = "attack and seed" if by == "victim" else "purifier"
    return Scope(name=name, resampled=resampled, n=len(cases), of=of)
