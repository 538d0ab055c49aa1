"""The README: short enough to be read, its Python runs, its links lead somewhere."""

from __future__ import annotations

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
