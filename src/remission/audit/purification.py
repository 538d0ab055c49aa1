"""Purifying a model of unknown origin, and what can be said of the result without the trigger."""

from __future__ import annotations

import time
from dataclasses import dataclass

from remission.audit.estimate import rehearsed
from remission.audit.suspect.writing import as_stored
from remission.audit.suspicion import (
    Suspect,
    invert,
    rates_of,
    standing_out,
    suspicion_of,
)
from remission.inversion import Inverted, InvertedSource, Voted
from remission.models import Classifier
from remission.purifiers import Purifier, inverts
from remission.records.suspect import SuspectPurification, Suspicion
from remission.seeding import Seed


@dataclass(frozen=True, kw_only=True, eq=False)
class SuspectPurifier:
    """The purification of one model of unknown origin, in two steps.

    Args:
        suspect: the model with images; it stays as it is.
        purifier: the method.
        inversion: the vote on the target class.
        seed: the source of everything random.
    """

    suspect: Suspect
    purifier: Purifier
    inversion: Voted
    seed: Seed

    def invert(self) -> Inverted:
        """Inverts a trigger on the model."""
        return invert(self.suspect, self.inversion, self.seed)

    def stands_out(self, inverted: Inverted) -> bool:
        """Returns whether the inversion names a class, or two."""
        return bool(standing_out(inverted, self.inversion.threshold))

    def purify(self, inverted: Inverted) -> Classifier:
        """Returns the purified model, in the dtypes of its source.

        Args:
            inverted: of :meth:`invert`.

        Raises:
            SpecError: the model lacks what the method needs, for example batch norm.
            DivergedError: a weight of the result is not finite.
        """
        source = InvertedSource(self.inversion, inverted) if inverts(self.purifier) else None
        model, clean = self.suspect.model, self.suspect.clean
        seed = self.seed.child("purifier", self.purifier.name)
        return as_stored(self.purifier(model, clean, seed=seed, trigger=source).model)

    def estimate(self) -> float:
        """Returns about how many seconds both steps will take, from a few steps of each loop."""
        return rehearsed(lambda: self.purify(self.invert()), self.suspect.model.mean.device)

    def suspicion(self, inverted: Inverted) -> Suspicion:
        """Returns what the inversion says."""
        return suspicion_of(self.suspect, inverted, self.inversion)

    def pictures(self, inverted: Inverted) -> tuple[bytes, bytes]:
        """Returns strips of held-out images, clean and with the inverted trigger, as PNG files."""
        return self.suspect.pictures(inverted.generator, inverted.suspects[0])

    def record(
        self, inverted: Inverted, purified: Classifier, *, output: str, began: float
    ) -> SuspectPurification:
        """Measures both models on held-out images.

        Args:
            inverted: of :meth:`invert`.
            purified: of :meth:`purify`.
            output: the file of the purified model.
            began: ``time.perf_counter()`` before the inversion.
        """
        seconds, held_out = time.perf_counter() - began, self.suspect.held_out
        return SuspectPurification(
            model=self.suspect.reading(),
            suspicion=self.suspicion(inverted),
            purifier={"method": self.purifier.name, **self.purifier.settings()},
            before=rates_of(self.suspect.model, held_out, inverted),
            after=rates_of(purified, held_out, inverted),
            output=output,
            seconds=seconds,
        )
