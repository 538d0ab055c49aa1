"""QRA, the query-based reactivation attack, with access to the purified model's weights.

Min, Qin, Zhang, Shen, Cheng, NeurIPS 2024, section 3.2: a generator learns perturbations with which
the purified model gives the outputs of its retuned copy, while a clean model is not fooled:

    min over G of  alpha * KL(f_retuned(x) || f_purified(x')) + CE(f_clean(x'), y),
    x' = clip(x + epsilon * tanh(G(x))),

over clean images and over triggered images of other classes than the target, y the true class.
Despite its name the attack differentiates through the purified model, in the paper and here;
``qra_blackbox`` does not. The paper's public code writes class 0 where the target is meant; here it
is the target.
"""

from __future__ import annotations

from typing import ClassVar

from remission.method import method
from remission.models import Classifier
from remission.reactivations.access import Oracle
from remission.reactivations.attacker import Attacker, Other
from remission.reactivations.generator import GeneratorReactivation
from remission.reactivations.perturbations import Perturbation
from remission.seeding import Seed


@method
class QRA(GeneratorReactivation):
    """Perturbations by a generator that is trained through the purified model (white box)."""

    name: ClassVar[str] = "qra"
    paper: ClassVar[str] = "Min et al., NeurIPS 2024, arXiv 2410.09838"
    needs: ClassVar[tuple[str, ...]] = (
        "weights",
        "clean images",
        "true trigger",
        "never-backdoored model",
    )

    def borrows(self) -> tuple[Other, ...]:
        """Returns that the method needs the clean model."""
        return ("control",)

    def learn(
        self,
        perturbation: Perturbation,
        model: Classifier | Oracle | None,
        attacker: Attacker,
        *,
        budget: int | None,
        seed: Seed,
    ) -> None:
        """Retunes the teacher, then trains the generator."""
        assert isinstance(model, Classifier)
        assert attacker.control is not None
        teacher = self.teacher(model, attacker, budget=budget, seed=seed)
        data = self.images(attacker, seed)
        self.train(perturbation, model, teacher, attacker.control, data, seed=seed)
