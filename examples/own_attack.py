"""
An attack of your own
=====================

A new trigger is one short class. It goes through everything that the attacks of the package go
through: poisoning, purification, retuning, tables.
"""

# %%
# The trigger is a bright line along the left edge. ``DirtyLabel`` poisons images and their labels
# with it; the parameters of the attack are the fields of the class, checked against their bounds.

from __future__ import annotations

from typing import ClassVar

import matplotlib.pyplot as plt
import torch

from remission import Recipe, Seed, build_model_for, evaluate, load_dataset, split_dataset
from remission.attacks import DirtyLabel
from remission.method import field, method
from remission.triggers import Patch, Trigger


@method
class Line(DirtyLabel):
    """A bright vertical line; poisoned labels."""

    name: ClassVar[str] = "line"
    paper: ClassVar[str] = "none"

    column: int = field(default=0, ge=0)
    """The column of pixels that is bright, counted from the left."""

    def trigger(self, shape: tuple[int, int, int], seed: Seed) -> Trigger:
        """Returns the line; the seed is not used."""
        del seed
        mask = torch.zeros(1, *shape[1:])
        mask[..., self.column] = 1
        return Patch(mask, torch.ones(shape))


# %%
# Clean test images above, the same with the trigger below.

seed = Seed(0)
data = load_dataset("digits")
split = split_dataset(data, seed, defender=200, attacker=100)
attack = Line(poison_rate=0.05, target=3)
line = attack.trigger(data.train.shape, seed)
images = split.test.images[:8].float() / 255

figure, rows = plt.subplots(2, 8, figsize=(8, 2.2), layout="constrained")
for row, shown in zip(rows, (images, line(images)), strict=True):
    for axes, image in zip(row, shown, strict=True):
        axes.imshow(image[0], cmap="gray", vmin=0, vmax=1)
        axes.axis("off")
plt.show()

# %%
# Twenty-five epochs later the model reads a line as a three.

recipe = Recipe(epochs=25, lr=0.1, batch_size=64, schedule="one_cycle")
model = build_model_for(data, "resnet18:4", seed=seed)
victim = attack(model, split.victim, recipe, seed=seed.child("victim"))
rates = evaluate(victim.model, split.test, victim.trigger, victim.target)
print(f"C-Acc {rates.clean_acc.value:.1%}, ASR {rates.asr.value:.1%}")

# %%
# A file with this class is all that a grid needs: ``remission run mine.toml --methods line.py``
# with ``method = "line"`` in a table ``[[attack]]`` of the spec.
