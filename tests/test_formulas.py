"""docs/formulas.md: every method has its formulas, and they convert to MathML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from remission.method import Method
from remission.registry import ATTACKS, INVERSIONS, PURIFIERS, REACTIVATIONS
from tests.test_readme import ROOT

KINDS: Mapping[str, Mapping[str, type[Method]]] = {
    "attacks": ATTACKS,
    "inversions": INVERSIONS,
    "purifiers": PURIFIERS,
    "reactivations": REACTIVATIONS,
}
MEASURES = (
    "Accuracy and attack success",
    "Backdoor error on the path",
    "Relapse gap",
    "Worst gap",
    "Criterion of trials",
    "Intervals",
)
PAGE = (ROOT / "docs" / "formulas.md").read_text(encoding="utf-8")
METHODS = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")
FORMULAS = [block or inline for block, inline in re.findall(r"\$\$(.+?)\$\$|\$(.+?)\$", PAGE, re.S)]
EACH = [(kind, name) for kind, methods in KINDS.items() for name in methods]


def sections(text: str, level: int) -> dict[str, str]:
    """Returns the title of each section of a level, without backquotes, with its text."""
    parts = re.split(rf"^{'#' * level} (.+)$", text, flags=re.MULTILINE)
    return dict(zip((title.strip("`") for title in parts[1::2]), parts[2::2], strict=True))


def anchors(text: str) -> list[str]:
    """Returns the anchors of all headings, as GitHub makes them where titles are repeated."""
    seen = Counter[str]()
    found = []
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-")
        found.append(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


def test_every_method_has_its_subsection_in_the_order_of_its_kind() -> None:
    pages = sections(PAGE, 2)
    assert list(pages) == ["Notation", *KINDS, "paths", "measures"]
    for kind, methods in KINDS.items():
        assert re.findall(r"^### `(\w+)`$", pages[kind], re.MULTILINE) == list(methods), kind
    assert tuple(sections(pages["measures"], 3)) == MEASURES


@pytest.mark.parametrize(("kind", "name"), EACH, ids=lambda value: value)
def test_a_subsection_has_a_formula_the_paper_and_the_parameters(kind: str, name: str) -> None:
    """The link leads to this method, not to that of another kind with the same name."""
    text = sections(sections(PAGE, 2)[kind], 3)[name]
    listed = sections(sections(METHODS, 2)[kind], 3)[name]
    assert "$$" in text
    paper = KINDS[kind][name].paper
    assert f"Source: {paper}" in " ".join(text.split()), paper
    (anchor,) = re.findall(r"\[parameters\]\(methods\.md#([\w-]+)\)", text)
    heading = METHODS.index(listed)
    assert anchors(METHODS[:heading])[-1] == anchor
    known = {*re.findall(r"^\| `(\w+)` \|", listed, re.MULTILINE), *(n for _, n in EACH)}
    assert set(re.findall(r"`(\w+)`", text)) <= known


def test_links_within_the_page_lead_somewhere() -> None:
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= set(anchors(PAGE))


def test_markdown_leaves_formulas_as_they_are() -> None:
    """No backslash, underscore or bracket of a formula means anything to a forge's Markdown."""

    def plain(tokens: list[Token]) -> str:
        """Returns what a reader sees; marks of emphasis and backslashes that escape are gone."""
        breaks = {"softbreak": "\n", "hardbreak": "\n"}
        return "".join(
            plain(token.children) if token.children else breaks.get(token.type, token.content)
            for token in tokens
        )

    seen = plain(MarkdownIt("commonmark").parse(PAGE))
    lost = [formula for formula in FORMULAS if f"${formula}$" not in seen]
    assert not lost
    assert "$" not in re.sub(r"\$\$.+?\$\$|\$.+?\$", "", PAGE, flags=re.S)


@pytest.mark.parametrize("formula", sorted(set(FORMULAS)))
def test_a_formula_converts_to_mathml(formula: str) -> None:
    """The converter copies what it does not know, so that a backslash or an & would be left."""
    converter = pytest.importorskip("latex2mathml.converter")
    converted = converter.convert(formula)
    assert converted.startswith("<math")
    assert "\\" not in converted
    assert ">&<" not in converted


def test_lines_fit() -> None:
    assert max(map(len, PAGE.splitlines())) <= 120
