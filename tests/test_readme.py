"""The README: short enough to be read, its Python runs, its links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 130
    assert README.index("](docs/relapse.svg)") < README.index("\n## ")


def test_its_python_prints_what_it_says() -> None:
    """In twelve lines the backdoor works, is gone once purified, and returns once retuned."""
    block = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    assert len([line for line in block.splitlines() if line.strip()]) <= 12
    code = f"import torch; torch.set_num_threads(1)\n{block}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    victim, purified, retuned = (
        int(line.split()[-1].removesuffix("%")) for line in done.stdout.splitlines()
    )
    assert victim > 90
    assert purified < 30
    assert retuned > 60


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#\s]+)", text):
        if not link.startswith(("http://", "https://")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        assert anchor in anchors(text), f"{page.name}: #{anchor}"


def anchors(text: str) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}


def test_what_the_reading_guide_names_is_there() -> None:
    """Paths in backquotes that end in .py lie in the package."""
    text = (ROOT / "docs" / "reading-the-code.md").read_text(encoding="utf-8")
    for name in re.findall(r"`([\w/]+\.py)`", text):
        places = [ROOT / "src" / "remission" / name, ROOT / name]
        assert any(place.is_file() for place in places), name


def test_the_record_in_the_reading_guide_is_the_stored_one() -> None:
    """The guide shortens it: each value that it shows is stored, ``...`` stands for more."""
    text = (ROOT / "docs" / "reading-the-code.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```json\n(.+?)```", text, re.DOTALL)
    shown = json.loads(block)
    place = ROOT / f"results/quickstart/records/{shown['kind']}/{shown['id']}.json"
    _holds(json.loads(place.read_text(encoding="utf-8")), shown)


def _holds(stored: object, shown: object) -> None:
    if isinstance(shown, dict):
        assert isinstance(stored, dict)
        for key in shown.keys() - {"..."}:
            _holds(stored[key], shown[key])
    elif isinstance(shown, str):
        assert isinstance(stored, str)
        assert stored.startswith(shown.removesuffix("..."))
    elif isinstance(shown, float):
        assert isinstance(stored, float)
        assert round(stored, 4) == shown or round(stored, 1) == shown
    else:
        assert stored == shown
