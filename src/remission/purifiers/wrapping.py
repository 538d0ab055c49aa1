"""The base class of purifiers that run another purifier inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, Any, Literal, final

from pydantic import InstanceOf, PlainSerializer, WithJsonSchema, field_validator

from remission.errors import SpecError
from remission.inversion import TriggerSource
from remission.method import field, method
from remission.models import Classifier
from remission.purifiers.base import Purifier
from remission.seeding import Seed
from remission.types import LabelledImages

EXAMPLE = 'base = { method = "fst", epochs = 20 }'
"""How a spec states the inner purifier."""

_Inner = Annotated[
    InstanceOf[Purifier],
    PlainSerializer(lambda purifier: {"method": purifier.name, **purifier.parameters()}),
    WithJsonSchema({"type": "table of another purifier, required"}),
]
"""A purifier as a parameter: an object in Python, a table in a spec, which the registry builds."""


@method
class WrappingPurifier(Purifier, ABC):
    """A purifier that runs another one, its ``base``, and works on the result.

    It needs whatever ``base`` needs: the same layers of the model, and the same trigger. The
    settings of its stages spell out the parameters of ``base``, and their version names that of
    ``base``, so that results are computed anew when either method changes.
    """

    base: _Inner = field(default=..., examples=[EXAMPLE])
    """The purifier that is run first, as a table with its `method` and parameters (from Python: an
    object). An `inversion` for it is named beside `base`."""

    @field_validator("base")
    @classmethod
    def _no_wrapper(cls, base: Purifier) -> Purifier:
        if isinstance(base, WrappingPurifier):
            raise SpecError(
                f"'base' is {base.name}, which has a base itself", "name another method"
            )
        return base

    def settings(self) -> dict[str, Any]:
        """Returns the parameters as settings hold them, those of ``base`` by the same rule."""
        return {**super().settings(), "base": {"method": self.base.name, **self.base.settings()}}

    def requirements(self) -> tuple[str, ...]:
        """Returns what this method and ``base`` need, each once."""
        return tuple(dict.fromkeys((*super().requirements(), *self.base.requirements())))

    def code_version(self) -> int | str:
        """Returns the version, with that of ``base`` unless it is 1."""
        inner = self.base.code_version()
        return self.version if inner == 1 else f"{self.version}+{self.base.name}-{inner}"

    def needed_trigger(self) -> Literal["inverted", "true"] | None:
        """Returns the trigger that ``base`` needs."""
        return self.base.needed_trigger()

    @abstractmethod
    def purify(
        self, model: Classifier, clean: LabelledImages, *, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        """Purifies ``model``, a copy that may be changed in place, and returns the result.

        ``trigger`` is for ``base``; it is None where ``base`` needs no trigger.
        """

    @final
    def _supply(
        self, model: Classifier, clean: LabelledImages, trigger: TriggerSource | None, seed: Seed
    ) -> Classifier:
        return self.purify(model, clean, trigger=trigger, seed=seed)
