"""
How far away is the backdoor?
=============================

A purified model that relapses lies close to the backdoored one in weight space: on the straight
line back, the backdoor returns at once. One that does not relapse has left that line.
"""

# %%
# A victim with a backdoor, and the same clean images for two purifiers.

from __future__ import annotations

import matplotlib.pyplot as plt

from remission import Recipe, Seed, build_model_for, load_dataset, split_dataset
from remission.attacks import BadNets
from remission.inversion import KnownSource
from remission.paths import linear_path
from remission.purifiers import EP, FST

seed = Seed(1)
data = load_dataset("digits")
split = split_dataset(data, seed, defender=300, attacker=200)
recipe = Recipe(epochs=25, lr=0.1, batch_size=64, schedule="one_cycle")
model = build_model_for(data, "resnet18:4", seed=seed)
attack = BadNets(poison_rate=0.1, margin=0)
victim = attack(model, split.victim, recipe, seed=seed.child("victim"))

# %%
# At t = 0 lies the victim, at t = 1 the purified model. The backdoor error is the share of
# triggered test images that are *not* given the attacker's class. Running statistics of batch
# normalisation are collected anew at each position, since those between two models fit neither.

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
errors = {}
for purifier in (FST(lr=0.05, alpha=3.0, epochs=60), EP(epochs=30, lr=0.02)):
    purified = purifier(
        victim.model,
        split.defender,
        seed=seed.child(purifier.name),
        trigger=KnownSource(victim.trigger),
    ).model
    path = linear_path(
        victim.model, purified, split.test, victim.trigger, victim.target,
        points=11, clean=split.defender,
    )  # fmt: skip
    errors[purifier.name] = [1 - rates.asr.value for rates in path.rates]
    print(f"{purifier.name}: mean backdoor error on the path {sum(errors[purifier.name]) / 11:.2f}")
    axes.plot(path.t, [100 * e for e in errors[purifier.name]], marker="o", label=purifier.name)

axes.set(xlabel="t, from the victim to the purified model", ylabel="backdoor error (%)")
axes.legend()
plt.show()
