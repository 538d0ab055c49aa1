"""Does a purified model relapse? A whole experiment in Python, on scikit-learn's digits.

Run it: python examples/audit_a_purifier.py
"""

from __future__ import annotations

from remission import Recipe, Seed, build_model_for, evaluate, load_dataset, split_dataset
from remission.attacks import BadNets
from remission.inversion import KnownSource
from remission.paths import linear_path
from remission.purifiers import EP, FT
from remission.reactivations import Retuning


def main() -> dict[str, float]:
    """Poisons, purifies twice, retunes, measures paths; returns the ASR after retuning."""
    seed = Seed(0)
    data = load_dataset("digits")
    split = split_dataset(data, seed, defender=200, attacker=100)

    model = build_model_for(data, "resnet18:8", seed=seed)
    attack = BadNets(poison_rate=0.1, target=0, size=2, margin=0)
    recipe = Recipe(epochs=12, lr=0.1, weight_decay=5e-4, schedule="one_cycle")
    victim = attack(model, split.victim, recipe, seed=seed.child("victim"))
    rates = evaluate(victim.model, split.test, victim.trigger, victim.target)
    print(f"victim: C-Acc {rates.clean_acc.value:.1%}, ASR {rates.asr.value:.1%}")

    asr_after = {}
    for purifier in (FT(), EP(epochs=30, lr=0.02)):
        purified = purifier(
            victim.model,
            split.defender,
            seed=seed.child(purifier.name),
            trigger=KnownSource(victim.trigger),
        ).model
        before = evaluate(purified, split.test, victim.trigger, victim.target)
        retuned = Retuning()(
            purified,
            split.attacker,
            victim.trigger,
            victim.target,
            budget=5,
            seed=seed.child("retuning"),
        )
        after = evaluate(retuned, split.test, victim.trigger, victim.target)
        path = linear_path(
            victim.model, purified, split.test, victim.trigger, victim.target,
            points=5, clean=split.defender,
        )  # fmt: skip
        along = " ".join(f"{1 - rates.asr.value:.0%}" for rates in path.rates)
        print(f"{purifier.name}: O-ASR {before.asr.value:.1%}, P-ASR {after.asr.value:.1%}")
        print(f"    backdoor error on the path from the victim: {along}")
        asr_after[purifier.name] = after.asr.value
    return asr_after


if __name__ == "__main__":
    main()
