"""Sentences in plain English on a group and on a whole store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from remission.report.groups.group import Group
from remission.report.groups.keys import VICTIM
from remission.report.groups.labels import printable
from remission.report.groups.rows import Row
from remission.report.groups.thresholds import LOSS, MARGIN
from remission.report.groups.verdict import Verdict, VerdictName

_REST: dict[VerdictName, str] = {
    "none found": f"within {100 * MARGIN:.0f} points of the control at every judged budget",
    "survived": "with the backdoor kept through purification",
    "not applied": "to which the purifier was not applied, since it returned the victim unchanged",
    "unclear": "unclear",
    "untested": "without anything that can be judged",
    "failed": "failed",
    "no backdoor": "of victims without a working backdoor",
    "broken": f"with clean accuracy more than {100 * LOSS:.0f} points below the victim's",
    "collapsed": "not judged, since a model is not shown to be better than one answer for all "
    "images",
}


def headline(groups: Sequence[Group]) -> str:
    """Returns one or two sentences on the whole store."""
    purified = [group for group in groups if group.purified]
    judged = [(group, row) for group in purified for row in group.purified]
    if not judged:
        return _unpurified(groups)
    if len(purified) == 1:
        return sentence(purified[0])
    outcomes = Counter(group.verdict(row).outcome for group, row in judged)
    count = outcomes["relapse"]
    attacks = {group.key.attack for group in purified}
    over = "attacks" if len(attacks) == len(purified) else "settings"
    first = (
        f"{count} of {len(judged)} purified models {'is' if count == 1 else 'are'} only in "
        f"remission, over {len(purified)} {over}."
    )
    parts = [f"{outcomes[outcome]} {text}" for outcome, text in _REST.items() if outcomes[outcome]]
    return f"{first} The others: {listed(parts)}." if parts else first


def _unpurified(groups: Sequence[Group]) -> str:
    """Returns a sentence on victims that nobody has purified."""
    fallback = "The store holds no purified model yet: there is nothing to judge."
    pairs = [(group, row) for group in groups if (row := group.row(VICTIM))]
    collapsed = sum(bool(group.collapsed_seeds(row)) for group, row in pairs)
    victims = [(group, row) for group, row in pairs if not group.collapsed_seeds(row)]
    measured = [(group, row) for group, row in victims if row.number("asr").known]
    rates = [row.number("asr").mean or 0.0 for _, row in measured]
    if len(rates) < 2:
        return fallback
    low, high = (f"{100 * rate:.1f}" for rate in (min(rates), max(rates)))
    between = f"is {low} %" if low == high else f"lies between {low} and {high} %"
    attacks = len({group.key.attack for group, _ in measured})
    settings = "" if attacks == len(measured) else f" in {len(measured)} settings"
    text = f"{attacks} {'attack' if attacks == 1 else 'attacks'}{settings}: ASR {between}"
    losses = [
        -mean
        for group, row in measured
        if (mean := group.gap(row, None, "clean_acc").mean) is not None
    ]
    if losses:
        worst = 100 * max(losses)
        cost = f"at most {worst:.1f} points" if worst >= 0.05 else "nowhere"
        text += f", and clean accuracy lies {cost} below the control's"
    if failed := len(victims) - len(measured):
        text += f"; {failed} more failed"
    if collapsed:
        text += f"; in {collapsed} more the victim is not shown to be better than one answer for "
        text += "all images"
    return f"{text}. The store holds no purified model yet."


def sentence(group: Group) -> str:
    """Returns one or more sentences on a group.

    Without purified models there is a sentence only where a model collapsed.
    """
    if group.purified:
        return _sentence(group, group.purified)
    return f"Nothing can be judged here: {listed(group.reasons)}." if group.reasons else ""


def _sentence(group: Group, rows: Sequence[Row]) -> str:
    verdicts = [(row, group.verdict(row)) for row in rows]
    names: dict[VerdictName, list[str]] = {}
    for row, verdict in verdicts:
        where = f" ({verdict.where})" if verdict.outcome == "relapse" else ""
        names.setdefault(verdict.outcome, []).append(row.label + where)
    relapsing, survived = names.get("relapse", []), names.get("survived", [])
    survival = f"The backdoor survived purification itself with {listed(survived)}"
    if relapsing:
        are = "is only" if len(relapsing) == 1 else "are only"
        count = f"{len(relapsing)} of {len(rows)} purified models {are} in remission"
        first = f"{count}: {listed(relapsing)}."
    elif survived:  # worse than a relapse, so it comes first
        first = f"{survival}."
        if len(survived) < len(rows):
            first += " None of the others is shown to be only in remission."
    else:
        first = f"None of {len(rows)} purified models is shown to be only in remission."
    clauses = _clauses(names, survival if relapsing and survived else "")
    for why, labels in _collapsed(verdicts).items():
        clauses.append(f"Nothing can be said of {listed(labels)}: {why}")
    clauses += _partly_applied(group)
    return " ".join([first, *(f"{clause}." for clause in clauses)])


def _clauses(names: Mapping[VerdictName, list[str]], survived: str) -> list[str]:
    """Returns clauses on the models that do not relapse.

    Args:
        names: outcome -> labels of the models.
        survived: the clause on models in which the backdoor survived; empty if it came before.
    """
    texts: dict[VerdictName, str] = {
        "none found": (
            "No relapse was found for {models}: {stay} within {margin:.0f} points of the control "
            "at every budget that is judged"
        ),
        "survived": "{survived}" if survived else "",
        "not applied": "Not applied, since the purifier returned the victim unchanged: {models}",
        "unclear": "The intervals are too wide to judge {models}",
        "broken": (
            "Broken, with clean accuracy more than {loss:.0f} points below the victim's: {models}"
        ),
        "no backdoor": (
            "Nothing can be said of {models}: the attack left no working backdoor in the victim"
        ),
        "untested": "Nothing that can be judged was measured for {models}",
    }
    names = {**names, "untested": [*names.get("untested", []), *names.get("failed", [])]}
    return [
        text.format(
            models=listed(names[outcome]),
            survived=survived,
            stay="it stays" if len(names[outcome]) == 1 else "they stay",
            margin=100 * MARGIN,
            loss=100 * LOSS,
        )
        for outcome, text in texts.items()
        if text and names.get(outcome)
    ]


def unchanged(group: Group, *, partly: bool = False) -> list[str]:
    """Returns the labels of the purifiers that returned the victim unchanged.

    Args:
        group: has the purifiers.
        partly: whether to name those alone that did so with some of their seeds, not with all.
    """
    numbers = [(row.label, *group.verdict(row).not_applied) for row in group.purified]
    return [
        f"{label} ({count} of {seeds} seeds)" if count < seeds else label
        for label, count, seeds in numbers
        if count > 0 and (count < seeds or not partly)
    ]


def _partly_applied(group: Group) -> list[str]:
    """Returns a clause on the models that a purifier changed with some of their seeds alone."""
    models = unchanged(group, partly=True)
    if not models:
        return []
    return [
        f"With some seeds the purifier returned the victim unchanged: {listed(models)}; these "
        "seeds count in the mean rates, and in no gap and no verdict"
    ]


def _collapsed(verdicts: Iterable[tuple[Row, Verdict]]) -> dict[str, list[str]]:
    """Returns reason why nothing can be judged -> labels of the models."""
    reasons: dict[str, list[str]] = {}
    for row, verdict in verdicts:
        if verdict.outcome == "collapsed":
            reasons.setdefault(verdict.reason, []).append(row.label)
    return reasons


def broken(group: Group) -> str:
    """Returns a clause on the models that a reactivation broke; empty where it broke none.

    Reactivations that perturb images change no model, and have a table of their own.
    """
    models = list(_broken(group))
    if not models:
        return ""
    return (
        f"clean accuracy is more than {100 * LOSS:.0f} points lower after the reactivation of "
        f"{listed(models)}: an ASR there is that of a broken model, and not judged"
    )


def _broken(group: Group) -> Iterator[str]:
    for row in group.rows:
        for column in group.columns:
            if group.breaks(row, column):
                after = row.number("clean_acc", column).mean or 0.0
                yield f"{row.label} ({printable(column.title)}: {100 * after:.1f})"


def listed(names: list[str]) -> str:
    """Returns ``a, b and c``."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"
