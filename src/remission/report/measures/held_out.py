"""Whether a setting of a purifier was chosen without the attacks that it is measured on.

The settings of a purifier are tried on other victims, in a store of their own. A setting is
*chosen* where :mod:`remission.report.measures.trials` chooses it there, and *published* where its
purifier was tried there and all of its parameters are the method's defaults. An attack is held out
from a chosen setting unless the other store has an attack of the same name. Every attack is held
out from a published one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from remission.report.groups.labels import MethodKey
from remission.report.groups.results import Results
from remission.report.measures.choices import is_published
from remission.report.measures.families import family
from remission.report.measures.trials import trials

Origin = Literal["chosen", "published", ""]


@dataclass(frozen=True, kw_only=True)
class Trials:
    """The settings that were tried on other victims.

    Args:
        known: whether there is a store of such trials.
        chosen: the settings that were chosen there.
        families: the purifiers that were tried there, without their settings.
        attacks: the names of the attacks there.
    """

    known: bool = False
    chosen: frozenset[MethodKey] = field(default_factory=frozenset)
    families: frozenset[MethodKey] = field(default_factory=frozenset)
    attacks: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of(cls, results: Results | None) -> Trials:
        """Reads the trials of a store; None: there is none."""
        if results is None:
            return cls()
        tried = [trial for groups in results.overviews for trial in trials(groups)]
        return cls(
            known=True,
            chosen=frozenset(trial.purifier for trial in tried if trial.chosen),
            families=frozenset(family(trial.purifier) for trial in tried),
            attacks=frozenset(
                group.key.attack.name for groups in results.overviews for group in groups
            ),
        )

    def origin(self, purifier: MethodKey) -> Origin:
        """Returns how a setting was chosen; empty where nothing shows it."""
        if purifier in self.chosen:
            return "chosen"
        return "published" if family(purifier) in self.families and is_published(purifier) else ""

    def held_out(self, purifier: MethodKey, attacks: Iterable[str]) -> int:
        """Returns from how many of these attacks a setting is free.

        Args:
            purifier: the setting.
            attacks: the name of each attack that it is measured on.
        """
        origin = self.origin(purifier)
        if origin == "chosen":
            return sum(attack not in self.attacks for attack in attacks)
        return len(list(attacks)) if origin else 0
