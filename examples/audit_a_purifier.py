"""
Does a purified model relapse?
==============================

A whole experiment on the small digits: poison, purify in three ways, retune, and compare with a
control that never had a backdoor.
"""

# %%
# Four disjoint sets of images: the victim's, the defender's, the attacker's, and the test images.

from __future__ import annotations

import matplotlib.pyplot as plt

from remission import Recipe, Seed, build_model_for, evaluate, load_dataset, split_dataset
from remission.attacks import BadNets
from remission.inversion import KnownSource
from remission.purifiers import EP, FST, FT
from remission.reactivations import Retuning
from remission.training import fit

seed = Seed(0)
data = load_dataset("digits")
split = split_dataset(data, seed, defender=200, attacker=100)

# %%
# The victim learns from images of which a tenth carries a patch and the label 0. The control is
# trained in the same way, from the same first weights, on the same images without the patch.

recipe = Recipe(epochs=12, lr=0.1, weight_decay=5e-4, schedule="one_cycle")
attack = BadNets(poison_rate=0.1, target=0, size=2, margin=0)
model = build_model_for(data, "resnet18:8", seed=seed)
victim = attack(model, split.victim, recipe, seed=seed.child("victim"))

control = build_model_for(data, "resnet18:8", seed=seed)
fit(control, split.victim, recipe, seed=seed.child("victim"))

rates = evaluate(victim.model, split.test, victim.trigger, victim.target)
print(f"victim: C-Acc {rates.clean_acc.value:.1%}, ASR {rates.asr.value:.1%}")

# %%
# All purifiers have the same 200 clean images. Exact purification, ``ep``, is also given the
# attacker's trigger: it is an upper bound and no defence.

models = {"control": control}
for purifier in (FT(), FST(lr=0.05, alpha=3.0, epochs=60), EP(epochs=30, lr=0.02)):
    models[purifier.name] = purifier(
        victim.model,
        split.defender,
        seed=seed.child(purifier.name),
        trigger=KnownSource(victim.trigger),
    ).model

# %%
# Each model is retuned with a few poisoned images. Before: O-ASR. After: P-ASR.

budgets = (5, 20, 50)
asr_after = {}
for name, purified in models.items():
    found = [evaluate(purified, split.test, victim.trigger, victim.target).asr.value]
    for budget in budgets:
        retuned = Retuning(batch_size=32)(
            purified,
            split.attacker,
            victim.trigger,
            victim.target,
            budget=budget,
            seed=seed.child("retuning"),
        )
        found.append(evaluate(retuned, split.test, victim.trigger, victim.target).asr.value)
    asr_after[name] = found
    after = ", ".join(f"{asr:.1%}" for asr in found[1:])
    print(f"{name}: O-ASR {found[0]:.1%}, P-ASR {after}")

# %%
# Only what a purified model learns faster than the control is relapse.

figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
for name, found in asr_after.items():
    line = "--" if name == "control" else "-"
    axes.plot([0, *budgets], [100 * asr for asr in found], line, marker="o", label=name)
axes.set(xlabel="poisoned images in the retuning", ylabel="ASR (%)", ylim=(-3, 103))
axes.legend()
plt.show()
