"""What an inversion says of one model: the one reading of it for tables, objects and captions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from remission.report.groups.estimates import MISSING, show_mean
from remission.report.groups.targets import class_text


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What an inversion says of one model.

    Args:
        target: the class that it names, None if it names none.
        target_name: what that class is called; None in older records.
        share: of the images of other classes that its trigger sends there; None without a class.
        change: root mean square of what it changes in pixels of [0, 1].
        lead: how many times as much the next class needs; None where the method compares none.
    """

    target: int | None
    target_name: str | None
    share: float | None
    change: float | None
    lead: float | None

    @classmethod
    def of(cls, details: Mapping[str, Any]) -> Claim:
        """From the details that an inversion's record keeps; what they lack is None."""
        target = details.get("target")
        named, name = isinstance(target, int), details.get("target_name")
        return cls(
            target=target if named else None,
            target_name=name if named and isinstance(name, str) else None,
            share=_number(details.get("target_share")) if named else None,
            change=_number(details.get("change")),
            lead=_number(details.get("lead")),
        )

    @property
    def shown(self) -> str:
        """The class that it names, for people: ``2 (bag)``, or ``none``."""
        return "none" if self.target is None else class_text(self.target, self.target_name)

    def caption(self) -> str:
        """For the title of a picture, to be put after the inversion's name."""
        text = f": names {'no class' if self.target is None else f'class {self.shown}'}"
        if self.share is not None:
            text += f", into which {100 * self.share:.1f} % of the images fall with it"
        if self.lead is not None:
            text += f"; the next class needs {self.lead:.1f} times as much"
        return text


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) else None


def named(claims: Iterable[Claim]) -> str:
    """The classes named, seed by seed."""
    return ", ".join(one.shown for one in claims)


def reached(claims: Iterable[Claim]) -> str:
    """The mean share of images that fall into the class named, in percent."""
    return show_mean((one.share for one in claims), 100, rate=True)


def moved(claims: Iterable[Claim]) -> str:
    """The mean change."""
    return show_mean((one.change for one in claims), digits=3)


def standing_out(claims: Iterable[Claim]) -> str:
    """The leads, seed by seed: one that is near 1 must not vanish in a mean."""
    leads = [MISSING if one.lead is None else f"{one.lead:.1f}" for one in claims]
    return MISSING if set(leads) <= {MISSING} else ", ".join(leads)
