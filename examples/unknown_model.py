"""
A model of unknown origin
=========================

Somebody hands over a file with weights. Without knowing whether it has a backdoor, or its trigger,
``remission`` says what the file holds, names the class that a backdoor leads to, and unlearns it.
"""

# %%
# For this page the file is made here: a state dict as any training script saves it. In the folder
# of clean images each class has a folder of its own.

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from remission import Recipe, Seed, build_model_for, load_dataset, split_dataset
from remission.attacks import BadNets

seed = Seed(1)
data = load_dataset("shapes")
split = split_dataset(data, seed, defender=600, attacker=100, victim=4000)
recipe = Recipe(epochs=4, lr=0.1, schedule="one_cycle")
model = build_model_for(data, "resnet18:8", seed=seed)
victim = BadNets(poison_rate=0.1, target=2)(model, split.victim, recipe, seed=seed.child("victim"))

folder = Path(tempfile.mkdtemp())
torch.save(victim.model.state_dict(), folder / "checkpoint.pth")
for number, (image, label) in enumerate(
    zip(split.defender.images, split.defender.labels, strict=True)
):
    place = folder / "images" / data.classes[int(label)]
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(place / f"{number}.png")


def remission(*arguments: str) -> None:
    """Runs a command and prints what it says."""
    command = [sys.executable, "-m", "remission", *arguments]
    print("$ remission", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    print(done.stdout + done.stderr)


# %%
# What does the file hold? Nothing in it is executed.

remission("inspect", "checkpoint.pth")

# %%
# Is there a backdoor, and can it be unlearnt?

remission("purify", "checkpoint.pth", "--data", "images", "-o", "purified.safetensors")

# %%
# The attacker's own trigger, which the command never saw, says whether it worked. ``remission
# audit`` would say how deep this safety is.
