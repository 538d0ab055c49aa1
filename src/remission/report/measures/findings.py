"""The answer of an inversion about one model, for tables, objects and captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remission.names import class_text
from remission.report.groups.estimates import MISSING, show_mean


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer of an inversion about one model.

    Args:
        target: the class that it names; None if it names none.
        target_name: the name of that class; None in older records.
        share: share of the images of other classes that its trigger moves into the class that it
            names; None without a class.
        change: root mean square of the change of pixels in [0, 1].
        lead: how many times as large a change the next class needs; None where the method compares
            no classes.
        margin_lead: how many times as far its maximum margin stands above the references' as that
            of the next class; None where the method compares no margins.
        vote: the sum of the logarithms of both leads, each in standard deviations on models that
            nobody attacked; None where the method
            takes no vote.
        candidates: the classes that it suspects where it abstains from naming one.
    """

    target: int | None
    target_name: str | None
    share: float | None
    change: float | None
    lead: float | None
    margin_lead: float | None = None
    vote: float | None = None
    candidates: tuple[int, ...] = ()

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Finding:
        """Reads the details of an inversion's record; what they lack is None."""
        target = details.get("target")
        names_class, name = isinstance(target, int), details.get("target_name")
        return cls(
            target=target if names_class else None,
            target_name=name if names_class and isinstance(name, str) else None,
            share=_number(details.get("target_share")) if names_class else None,
            change=_number(details.get("change")),
            lead=_number(details.get("lead")),
            margin_lead=_number(details.get("margin_lead")),
            vote=_number(details.get("vote")),
            candidates=() if names_class else _classes(details.get("candidates")),
        )

    @property
    def shown(self) -> str:
        """The class that it names, for people: ``2 (bag)``, ``none``, or ``2 or 5`` (abstains)."""
        if self.candidates:
            return " or ".join(map(str, self.candidates))
        return "none" if self.target is None else class_text(self.target, self.target_name)

    def caption(self) -> str:
        """Returns the text that follows the inversion's name in the title of a picture."""
        text = f": names {'no class' if self.target is None else f'class {self.shown}'}"
        if self.candidates:
            text = f": abstains between the classes {' and '.join(map(str, self.candidates))}"
        if self.share is not None:
            text += f", into which its trigger moves {100 * self.share:.1f} % of the images"
        if self.lead is not None:
            text += f"; the next class needs a change {self.lead:.1f} times as large"
        if self.margin_lead is not None:
            text += "; its maximum margin, relative to the references', is "
            text += f"{self.margin_lead:.1f} times that of the next class"
        if self.vote is not None:
            text += f"; its vote is {self.vote:.1f}"
        return text


def _classes(value: object) -> tuple[int, ...]:
    return tuple(c for c in value if isinstance(c, int)) if isinstance(value, list) else ()


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def named(findings: Iterable[Finding]) -> str:
    """Returns the classes that the inversions name, seed by seed."""
    return ", ".join(finding.shown for finding in findings)


def reached(findings: Iterable[Finding]) -> str:
    """Returns the mean share of images that the triggers move into the class named, in percent."""
    return show_mean((finding.share for finding in findings), 100, rate=True)


def moved(findings: Iterable[Finding]) -> str:
    """Returns the mean change."""
    return show_mean((finding.change for finding in findings), digits=3)


def standing_out(findings: Iterable[Finding]) -> str:
    """Returns the leads seed by seed, as a mean would hide a lead near 1."""
    return _seed_by_seed(finding.lead for finding in findings)


def margins(findings: Iterable[Finding]) -> str:
    """Returns the leads of the maximum margins seed by seed."""
    return _seed_by_seed(finding.margin_lead for finding in findings)


def votes(findings: Iterable[Finding]) -> str:
    """Returns the votes seed by seed."""
    return _seed_by_seed(finding.vote for finding in findings)


def _seed_by_seed(leads: Iterable[float | None]) -> str:
    texts = [MISSING if lead is None else f"{lead:.1f}" for lead in leads]
    return MISSING if set(texts) <= {MISSING} else ", ".join(texts)
