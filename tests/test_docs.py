"""The code in the pages: Python runs as it stands, TOML is a spec or a part of one."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch

from remission.grid.spec import parse_spec
from remission.models import build_model
from remission.seeding import Seed

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
SPEC = """
name = "mine"
dataset = "digits"
arch = "resnet18:4"

[split]
defender = 40
attacker = 40
victim = 200
test = 100

[victim]
epochs = 1

[[attack]]
method = "badnets"
margin = 0

[[purifier]]
method = "ft"
epochs = 1
"""


def fences(page: Path, language: str) -> list[str]:
    """Returns the code of one language in a page."""
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


PYTHON = [page for page in PAGES if fences(page, "python")]
TOML = [page for page in PAGES if fences(page, "toml")]


def test_there_is_code() -> None:
    assert len(PYTHON) >= 3
    assert len(TOML) >= 2


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.stem)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files and values that a page speaks of are there: a spec, a checkpoint, images."""
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(SPEC, encoding="utf-8")
    model = build_model(
        "resnet18:4", classes=3, shape=(3, 32, 32), mean=(0.5,) * 3, std=(0.25,) * 3, seed=Seed(0)
    )
    state = {k: v for k, v in model.state_dict().items() if k not in ("mean", "std")}
    torch.save({"state_dict": state}, "checkpoint.pth.tar")
    values: dict[str, object] = {
        "images": torch.rand(12, 3, 32, 32),
        "labels": torch.arange(12) % 3,
    }
    for code in fences(page, "python"):
        Path("page.py").write_text(code, encoding="utf-8")
        values |= runpy.run_path("page.py", init_globals=values)  # a later part may use an earlier


@pytest.mark.parametrize("page", TOML, ids=lambda page: page.stem)
def test_toml_is_a_spec_or_a_part_of_one(page: Path) -> None:
    whole = {"name": "part", "dataset": "digits", "attack": [{"method": "badnets", "margin": 0}]}
    for code in fences(page, "toml"):
        parse_spec(whole | tomllib.loads(code))


def test_pages_that_are_generated_from_the_code_are_up_to_date() -> None:
    code = (
        "import generate as g\n"
        "pages = {'methods': g.method_table(g.catalogue()), 'spec': g.spec_reference(),\n"
        "         'views': g.view_reference(), 'commands': g.command_reference()}\n"
        "for name, text in pages.items():\n"
        "    if (g.ROOT / 'docs' / f'{name}.md').read_text(encoding='utf-8') != text:\n"
        "        print(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, check=True, cwd=ROOT / "tools",
    )  # fmt: skip
    assert done.stdout == "", "run make docs"
