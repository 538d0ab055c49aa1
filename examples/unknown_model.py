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
from safetensors.torch import load_file

from remission import Recipe, Seed, build_model_for, evaluate, load_dataset, split_dataset
from remission.attacks import BadNets

seed = Seed(0)
data = load_dataset("digits")
split = split_dataset(data, seed, defender=400, attacker=100)
recipe = Recipe(epochs=25, lr=0.1, batch_size=64, schedule="one_cycle")
model = build_model_for(data, "resnet18:8", seed=seed)
victim = BadNets(target=2, size=2, margin=0)(model, split.victim, recipe, seed=seed.child("victim"))

folder = Path(tempfile.mkdtemp())
torch.save(victim.model.state_dict(), folder / "checkpoint.pth")
for number, (image, label) in enumerate(
    zip(split.defender.images, split.defender.labels, strict=True)
):
    place = folder / "images" / data.classes[int(label)]
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image[0].numpy()).save(place / f"{number}.png")


def remission(*arguments: str) -> None:
    """Runs a command and prints what it says."""
    command = [sys.executable, "-m", "remission", *arguments]
    print("$ remission", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    print(done.stdout or done.stderr)


# %%
# What does the file hold? Nothing in it is executed.

remission("inspect", "checkpoint.pth")

# %%
# Is there a backdoor, and can it be unlearnt?

remission("purify", "checkpoint.pth", "--data", "images", "-o", "purified.safetensors")

# %%
# The attacker's own trigger, which the commands never saw, says whether it worked. ``remission
# audit`` would say, without that trigger, how deep this safety is.

purified = build_model_for(data, "resnet18:8", seed=seed)
purified.load_state_dict(load_file(folder / "purified.safetensors"))
for name, each in (("before", victim.model), ("after", purified)):
    rates = evaluate(each, split.test, victim.trigger, victim.target)
    print(f"{name}: C-Acc {rates.clean_acc.value:.1%}, ASR {rates.asr.value:.1%}")
