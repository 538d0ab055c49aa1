"""The vote on the target class: margins climbed image by image, votes counted with ifs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from remission.inversion import Inverted, Voted
from remission.inversion.base import TargetClass, judge
from remission.inversion.class_search import ClassSearch
from remission.inversion.margins import (
    MarginRatios,
    MarginSearch,
    margin_ratios,
    margins,
    maximum_margins,
)
from remission.models import Classifier, build_model
from remission.seeding import Seed
from remission.triggers.warp_and_add import InTurn, WarpAndAdd, strengthened
from remission.types import LabelledImages
from tests.reference.adam import SlowAdam
from tests.reference.toy import SIDE, C, K, Slow, Toy, flat, toy_data

SEARCH = MarginSearch(starts=3, steps=7, lr=0.1)


def test_a_margin_is_over_the_largest_other_logit() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.5], [0.0, -1.0, 4.0], [1.0, 1.0, 0.0]])
    assert margins(logits, torch.tensor([0, 1, 1])).tolist() == [0.5, -5.0, 0.0]


def climbed(slow: Slow, w: Tensor, first: Tensor, target: int) -> float:
    """Returns the largest margin on the way of one image."""
    x, adam, best = first.flatten(), SlowAdam(SEARCH.lr), -math.inf
    for step in range(SEARCH.steps + 1):
        x = x.detach().requires_grad_(True)
        z = slow.logits(w, x.view(1, C, SIDE, SIDE), train=False)[0]
        margin = z[target] - max(z[k] for k in range(K) if k != target)
        best = max(best, float(margin.detach()))
        if step < SEARCH.steps:
            g = torch.autograd.grad(-margin, x)[0]
            x = adam.step(x.detach(), g).clamp(0, 1)
    return best


def test_maximum_margins_climb_from_random_images() -> None:
    model, seed, classes = Toy().eval(), Seed(5), torch.tensor([2, 0, 3])
    found = maximum_margins(model, classes, SEARCH, seed)
    first = torch.rand(3, C, SIDE, SIDE, generator=seed.child("starts").generator()).double()
    slow, w = Slow.like(model), flat(model)
    wanted = [max(climbed(slow, w, x, t) for x in first) for t in classes.tolist()]
    assert found.tolist() == pytest.approx(wanted, rel=1e-4)
    alone = [max(climbed(slow, w, x, t) for x in first[:1]) for t in classes.tolist()]
    assert alone != pytest.approx(wanted, rel=1e-3), "the largest of several starts"


def test_many_classes_are_climbed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, classes = Toy().eval(), torch.arange(K)
    whole = maximum_margins(model, classes, SEARCH, Seed(1))
    monkeypatch.setattr("remission.inversion.margins._AT_ONCE", 5)
    torch.testing.assert_close(maximum_margins(model, classes, SEARCH, Seed(1)), whole)


def test_ratios_are_over_the_geometric_mean_of_the_references() -> None:
    models, classes, seed = [Toy(number).eval() for number in range(4)], torch.arange(K), Seed(2)
    v, *references = (
        [max(x, 1e-3) for x in maximum_margins(model, classes, SEARCH, seed).tolist()]
        for model in models
    )
    found = margin_ratios(models[0], models[1:], classes, SEARCH, seed)
    squares = []
    for i, reference in enumerate(references):
        first, second = (other for j, other in enumerate(references) if j != i)
        q = [math.log(reference[t] / math.sqrt(first[t] * second[t])) for t in range(K)]
        squares += [(x - sum(q) / K) ** 2 for x in q]
    assert found.sigma == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-4)
    for t in range(K):
        a, b, c = (reference[t] for reference in references)
        assert float(found.log[t].exp()) == pytest.approx(v[t] / (a * b * c) ** (1 / 3), rel=1e-4)


@pytest.mark.parametrize(
    ("needs", "ratios", "sigma", "named", "candidates"),
    [
        ([1.0, 0.5, 2.0, 3.0], [1.0, 1.2, 1.0, 0.9], 0.0, 1, ()),  # both: 4.4
        ([1.0, 0.7, 2.0, 3.0], [1.0, 1.1, 1.0, 0.9], 0.0, None, (1, 0)),  # both, but by 2.3
        ([1.0, 0.9, 1.1, 3.0], [1.0, 1.0, 2.6, 0.9], 0.0, 2, ()),  # the margins: 3.8
        ([1.0, 0.9, 1.1, 3.0], [1.0, 1.0, 2.6, 0.9], 0.9, None, (2, 1)),  # they are unreliable
        ([1.0, 0.5, 2.0, 3.0], [2.0, 1.0, 1.0, 0.9], 0.0, None, (0, 1)),  # they disagree: 0
        ([1.0, 0.5, 2.0, 3.0], [2.0, 1.0, 1.0, 0.9], 0.9, 1, ()),  # but are unreliable
    ],
)
def test_both_signs_are_counted(
    needs: list[float],
    ratios: list[float],
    sigma: float,
    named: int | None,
    candidates: tuple[int, ...],
) -> None:
    others = [[k for k in range(4) if k != t] for t in range(4)]
    by_need = [max(1.0, min(needs[k] for k in others[t]) / needs[t]) for t in range(4)]
    rivals = [max(by_need[k] for k in others[t]) for t in range(4)]
    by_margin = [ratios[t] / max(ratios[k] for k in others[t]) for t in range(4)]
    votes = [
        math.log(n / r) / 0.2 + math.log(m) / max(0.2, sigma)
        for n, r, m in zip(by_need, rivals, by_margin, strict=True)
    ]
    found = Voted(threshold=2.5, noise=0.2).vote(
        torch.tensor([10, 11, 12, 13]),
        torch.tensor([needs, [1.0] * 4]).log(),  # of the second family no class leads
        MarginRatios(torch.tensor(ratios).log(), sigma),
    )
    first = max(range(4), key=lambda t: votes[t])
    assert (votes[first] >= 2.5) == (named == first)
    assert found.target == (None if named is None else 10 + named)
    assert found.candidates == tuple(10 + k for k in candidates)
    assert found.lead == pytest.approx(by_need[first])
    assert found.margin_lead == pytest.approx(by_margin[first])
    assert found.vote == pytest.approx(votes[first], rel=1e-4)
    assert (found.pair_vote is None) == (named is not None)


def test_two_classes_that_hide_each_other_stand_out_together() -> None:
    needs, ratios = [1.0, 0.2, 0.21, 1.1], [1.0, 1.5, 1.6, 0.9]
    found = Voted(threshold=2.5, noise=0.2).vote(
        torch.tensor([10, 11, 12, 13]),
        torch.tensor([needs]).log(),
        MarginRatios(torch.tensor(ratios).log(), 0.0),
    )
    assert (found.target, found.candidates) == (None, (11, 12)), "by need 1.05 : 1, by margin not"
    by_11 = (math.log(1.0 / 0.2) + math.log(1.5 / 1.0)) / 0.2
    by_12 = (math.log(1.0 / 0.21) + math.log(1.6 / 1.0)) / 0.2
    assert found.pair_vote == pytest.approx(min(by_11, by_12), rel=1e-4)


def test_a_class_without_images_has_no_margin_and_no_advantage() -> None:
    """The references never saw it, so that their margin for it says nothing."""
    needs = torch.tensor([[1.0, 0.2, 0.9, 1.1]]).log()
    log = torch.tensor([math.nan, math.log(1.5), math.log(1.2), math.nan])
    found = Voted(threshold=2.5, noise=0.2).vote(torch.arange(4), needs, MarginRatios(log, 0.0))
    assert found.target == 1
    assert found.margin_lead == pytest.approx(1.5 / 1.2)
    unseen = Voted(threshold=2.5, noise=0.2).vote(
        torch.arange(4),
        torch.tensor([[0.2, 1.0, 0.9, 1.1]]).log(),
        MarginRatios(log, 0.0),
    )
    assert unseen.target == 0
    assert unseen.margin_lead == 1
    assert unseen.vote == pytest.approx(math.log(0.9 / 0.2) / 0.2, rel=1e-4)


def test_ratios_are_known_for_classes_with_images() -> None:
    models = [tiny(4, number) for number in range(3)]
    known = torch.tensor([0, 2])
    found = QUICK.ratios(models[0], models[1:], torch.arange(4), known, Seed(0))
    assert found.log.isnan().tolist() == [False, True, False, True]
    one = QUICK.ratios(models[0], models[1:], torch.arange(4), known[:1], Seed(0))
    assert one.log.isnan().all(), "one class has nothing to lead"


def test_with_two_classes_there_is_no_candidate_beside_the_named_one() -> None:
    found = Voted(threshold=9.0).vote(
        torch.arange(2), torch.zeros(2, 2), MarginRatios(torch.zeros(2), 0.0)
    )
    assert (found.target, found.candidates) == (0, ())


@pytest.mark.parametrize(("target", "candidates"), [(None, ()), (None, (1,)), (1, (1, 2))])
def test_an_answer_has_one_class_or_several_candidates(
    target: int | None, candidates: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="candidates"):
        TargetClass(target, 1.0, candidates=candidates)


def in_turn() -> InTurn:
    """Returns two changes: a pattern, and a flow."""
    changes = InTurn((C, SIDE, SIDE), 3, 2)
    first, second = changes.changes
    assert isinstance(first, WarpAndAdd)
    assert isinstance(second, WarpAndAdd)
    first.become("additive", torch.full((C, SIDE, SIDE), 0.1))
    second.become("warp", torch.ones(2, 3, 3))
    return changes


@pytest.mark.parametrize("times", [1, 1.5])
def test_changes_are_applied_in_turn(times: float) -> None:
    images = torch.rand(5, C, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    changes = in_turn()
    found = strengthened(changes, images, times)
    for n in range(5):
        alone = strengthened(changes.changes[n % 2], images[n : n + 1], times)
        torch.testing.assert_close(found[n], alone[0])


def test_a_trigger_of_two_candidates_is_judged_by_both() -> None:
    model, data = Toy().float().eval(), toy_data(9)
    data = LabelledImages(data.images.float(), data.labels)
    changes = in_turn()
    found = judge(
        model, data, changes, TargetClass(None, 1.2, margin_lead=0.9, vote=-0.3, candidates=(1, 3))
    )
    with torch.inference_mode():
        predicted = model(changes(data.images)).argmax(1).tolist()
    hits = [p in (1, 3) and p != y for p, y in zip(predicted, data.labels.tolist(), strict=True)]
    assert (found.target, found.candidates) == (None, (1, 3))
    assert found.target_share == pytest.approx(sum(hits) / 9)
    assert (found.lead, found.margin_lead, found.vote) == (1.2, 0.9, -0.3)


def tiny(classes: int, seed: int = 0) -> Classifier:
    return build_model(
        "resnet18:2", classes=classes, shape=(1, 8, 8), mean=(0.5,), std=(0.3,), seed=Seed(seed)
    ).eval()


def drawn(classes: int) -> LabelledImages:
    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(4))
    return LabelledImages(images, torch.arange(40) % classes)


QUICK = Voted(
    steps=3, batch_size=4, starts=2, margin_steps=3, reference_epochs=1, short_steps=2, rivals=4
)


@pytest.mark.parametrize("brought", [0, 1, 2])
def test_references_that_are_missing_are_trained(
    brought: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = tiny(3), drawn(3)
    compared_with: list[Classifier] = []

    def heard(
        self: Voted, model: Classifier, references: list[Classifier], classes: Tensor, *rest: object
    ) -> MarginRatios:
        compared_with.extend(references)
        return MarginRatios(torch.zeros(len(classes)), 0.0)

    monkeypatch.setattr(Voted, "ratios", heard)
    mine = [tiny(3, 1 + number) for number in range(brought)]
    QUICK(model, data, seed=Seed(0), references=mine)
    assert len(compared_with) == 2
    assert compared_with[:brought] == mine
    weights = [torch.cat([p.flatten() for p in m.parameters()]) for m in compared_with]
    assert not torch.equal(*weights)


def test_a_later_round_keeps_the_answer_and_asks_no_references() -> None:
    model, data = tiny(4), drawn(4)
    previous = Inverted(
        generator=QUICK.build_generator((1, 8, 8), Seed(0), "fp32"), target=None,
        target_share=0.5, change=0.1, lead=1.3, margin_lead=1.1, vote=0.7, candidates=(2, 0),
    )  # fmt: skip
    found = QUICK(model, data, seed=Seed(0), previous=previous)
    assert (found.target, found.candidates) == (None, (2, 0))
    assert (found.lead, found.margin_lead, found.vote) == (1.3, 1.1, 0.7)
    assert isinstance(found.generator, InTurn)
    one, other = map(values, found.generator.changes)
    assert not torch.equal(one, other), "one change per candidate"
    named = replace(previous, target=2, candidates=())
    again = QUICK(model, data, seed=Seed(0), previous=named)
    assert isinstance(again.generator, InTurn)
    one, other = map(values, again.generator.changes)
    assert torch.equal(one, other)


def values(change: nn.Module) -> Tensor:
    """Returns the pattern and the flow of a change as one vector."""
    return torch.cat([value.flatten() for value in change.state_dict().values()])


def test_of_many_classes_a_few_are_searched_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """All by few steps; by all steps those that go on, and those that the caller wants."""
    asked: list[tuple[str, int, list[int], int]] = []
    search = ClassSearch.search

    def heard(self: ClassSearch, model, clean, family, classes, *rest):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN002, ANN202
        asked.append((family, self.steps, classes.tolist(), len(clean)))
        return search(self, model, clean, family, classes, *rest)

    monkeypatch.setattr(ClassSearch, "search", heard)
    model, data = tiny(9), drawn(9)
    compared = QUICK.compare(model, data, [7], Seed(0))
    short, full, further = asked[:3], asked[3:6], asked[6]
    assert [(family, steps, chosen) for family, steps, chosen, _ in short] == [
        (family, 2, list(range(9))) for family in ("additive", "warp", "patch")
    ]
    assert {images for *_, images in short} == {32}, "eight batches"
    classes = compared.classes.tolist()
    assert len(classes) in (4, 5)
    assert 7 in classes
    assert [(family, steps, chosen) for family, steps, chosen, _ in full] == [
        (family, 3, classes) for family in ("additive", "warp", "patch")
    ]
    assert 7 in further[2]
    assert compared.leads().shape == (2, len(classes))


def test_few_classes_are_all_searched_at_once() -> None:
    compared = QUICK.compare(tiny(4), drawn(4), [], Seed(0))
    assert compared.classes.tolist() == [0, 1, 2, 3]
    assert QUICK.hopeful_margins(tiny(4), [tiny(4, 1)], torch.arange(4), Seed(0)) == []
    assert len(QUICK.hopeful_margins(tiny(9), [tiny(9, 1)], torch.arange(9), Seed(0))) == 2
