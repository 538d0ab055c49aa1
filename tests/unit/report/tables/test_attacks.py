"""Stores of victims: their table, their gallery, and a page without a purified model."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from remission.models import TRAITS
from remission.records import Record
from remission.report.groups.results import summarise
from remission.report.groups.sentences import headline
from remission.report.measures.victims import MADE_OF
from remission.report.page.gallery import SHOWN
from remission.report.page.page import build_page
from remission.report.page.pictures import comparison
from remission.report.tables.render import render
from tests.unit.report.report_factory import (
    STEALTH,
    baseline,
    cell,
    failed,
    preview,
    record,
    write_store,
)

GENERATE = Path(__file__).parents[4] / "tools" / "generate.py"
KEYS = {
    *("dataset", "arch", "attack", "attack_params", "label", "poison_rate", "target"),
    *(
        "target_name",
        "seed",
        "threat",
        "clean_acc",
        "control_clean_acc",
        "asr",
        "control_asr",
        "psnr",
        "ssim",
    ),
    *("largest_change", "compared", "unchanged", "seconds", "status", "error", "id"),
    *("setting", "collapsed"),
}


def victim(  # what a test may change
    folder: Path,
    attack: str,
    *,
    side: int = 28,
    mode: str = "L",
    stealth: dict[str, Any] | None = STEALTH,
    **changes: Any,  # noqa: ANN401  # any field of a cell
) -> list[Record]:
    """Returns a victim with its previews, and its control."""
    measured = cell(attack=attack, **changes)
    name = f"{attack}-{measured.id[:8]}"
    artefacts = {
        f"preview_{kind}": preview(
            folder, f"{name}-{kind}", trigger=kind == "triggered", side=side, mode=mode
        )
        for kind in ("clean", "triggered")
    }
    details: dict[str, Any] = {"preview_count": 8}
    if stealth:
        details["stealth"] = stealth
    control = cell(attack=attack, **{**changes, "purifier": "control", "asr": 0.02})
    return [
        record(measured, kind="victim", artefacts=artefacts, details=details),
        baseline(control, measured),
    ]


def store(folder: Path) -> list[Record]:
    """Returns four victims: grey, two in colour, an older one of large images; one failed."""
    made = victim(folder, "badnets", asr=0.985, clean_acc=0.904)
    for alpha in (0.1, 0.2):
        params = {"alpha": alpha, "pattern": None}
        made += victim(folder, "blended", attack_params=params, asr=0.97, side=32, mode="RGB")
    made += victim(folder, "sig", asr=0.6, target="all-to-all", side=224, mode="RGB", stealth=None)
    return [*made, record(failed(attack="wanet"), kind="victim", status="failed")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Record]]:
    folder = tmp_path_factory.mktemp("attacks")
    return folder, store(folder)


@pytest.fixture(scope="module")
def page(made: tuple[Path, list[Record]]) -> str:
    return build_page(made[1], made[0])


def cards(page: str) -> dict[str, str]:
    """Returns title -> HTML of each card."""
    found = re.findall(r'<article class="card".*?</article>', page, re.DOTALL)
    return {re.sub("<[^>]*>", "", card.split("</a>")[0]).strip(): card for card in found}


def test_the_table_has_a_line_a_victim(made: tuple[Path, list[Record]]) -> None:
    found = json.loads(render(made[1], "attacks", "json"))
    assert [one["label"] for one in found] == [
        "badnets",
        "blended (alpha=0.1)",
        "blended (alpha=0.2)",
        "sig",
        "wanet",
    ]
    first, *_, older, broken = found
    assert set(first) == KEYS
    assert first["threat"] == ["training images", "training labels"]
    assert (first["asr"], first["control_asr"]) == (0.985, 0.02)
    assert (first["clean_acc"], first["control_clean_acc"]) == (0.904, 0.904)
    assert (first["psnr"], first["ssim"], first["largest_change"]) == (21.44, 0.9837, 0.8)
    assert (older["target"], older["psnr"], older["largest_change"]) == ("all-to-all", None, None)
    assert (broken["status"], broken["asr"]) == ("failed", None)
    assert broken["error"] == "the loss became NaN in step 7"


def test_what_a_model_must_be_made_of_is_not_what_the_attacker_controls(tmp_path: Path) -> None:
    (found,) = json.loads(render(victim(tmp_path, "grond"), "attacks", "json"))
    assert found["threat"] == ["training process"]
    assert MADE_OF == TRAITS


def test_people_see_percent_and_steps_of_8_bits(made: tuple[Path, list[Record]]) -> None:
    text = render(made[1], "attacks", "text")
    lines = {line.split()[0]: line for line in text.splitlines()}
    numbers = ["90.4", "90.4", "98.5", "2.0", "21.4", "0.984", "204", "12.5"]
    assert lines["badnets"].split()[-8:] == numbers
    assert lines["sig"].split()[-4:] == ["–", "–", "–", "12.5"]
    assert lines["wanet"].split()[-8:] == ["failed", "–", "failed", "–", "–", "–", "–", "12.5"]
    markdown = render(made[1], "attacks", "markdown")
    assert "### fashion-mnist · resnet18:16" in markdown
    assert "| training images, training labels | 5 % | 0 | 0 | 90.4 |" in markdown
    rows = list(csv.DictReader(io.StringIO(render(made[1], "attacks", "csv"))))
    assert [row["psnr"] for row in rows] == ["21.44", "21.44", "21.44", "", ""]
    assert rows[3]["target"] == "all-to-all"


def test_a_store_without_victims_has_an_empty_table() -> None:
    assert json.loads(render([record(kind="inversion")], "attacks", "json")) == []
    assert "attacker" in render([record(kind="inversion")], "attacks", "text")


def test_a_card_for_each_attack(page: str) -> None:
    found = cards(page)
    assert list(found) == ["badnets", "blended (alpha=0.1)", "blended (alpha=0.2)", "sig", "wanet"]
    text = re.sub(r"<[^>]*>", " ", found["badnets"])
    for shown in ("98.5", "control 2.0", "90.4", "21.4 dB", "0.984", "204/255", "5 % poisoned"):
        assert shown in text
    assert "PSNR" not in found["sig"]
    assert found["sig"].count("<img") == 3
    assert "failed" in found["wanet"]
    assert "the record keeps no preview" in found["wanet"]
    for number, (title, card) in enumerate(found.items(), start=1):
        assert f'href="#group{number}"' in card
        section = page.split(f'id="group{number}"')[1].split("</h2>", maxsplit=1)[0]
        assert title in section


def test_strips_are_short_and_of_one_height(page: str) -> None:
    for title, card in cards(page).items():
        for source, width, height in re.findall(
            r'src="data:image/png;base64,([^"]*)" width="(\d+)" height="(\d+)"', card
        ):
            with Image.open(io.BytesIO(base64.b64decode(source))) as image:
                size = image.size
            assert 56 <= int(height) <= 64, title
            assert int(width) == pytest.approx(SHOWN * int(height), rel=0.05)
            assert size[0] / size[1] == pytest.approx(int(width) / int(height), rel=0.02)
            assert size[1] <= 128


def test_the_strip_of_a_card_shows_the_first_images_unchanged(
    made: tuple[Path, list[Record]], page: str
) -> None:
    folder, records = made
    source = re.findall(r'base64,([^"]*)"', cards(page)["blended (alpha=0.1)"])[1]
    shown = Image.open(io.BytesIO(base64.b64decode(source)))
    first = next(r for r in records if r.cell and r.cell.attack_params.get("alpha") == 0.1)
    stored = Image.open(folder / first.artefacts["preview_triggered"].file)
    for i in range(SHOWN):
        ours = shown.crop((i * 33, 0, i * 33 + 32, 32))
        assert ours.tobytes() == stored.crop((i * 32, 0, i * 32 + 32, 32)).tobytes()


def test_a_page_of_victims_speaks_of_no_purifier(page: str) -> None:
    text = re.sub(r"<(style|script|details)>.*?</\1>", "", page, flags=re.DOTALL)
    for word in ("Purifier", "Verdict", "purification", "reference", "O-ASR", "relapse", "Cost"):
        assert word not in text, word
    assert "<nav" not in text  # the cards lead to the sections
    lead = "4 attacks: ASR lies between 60.0 and 98.5 %, and clean accuracy lies nowhere below the "
    assert f"{lead}control&#39;s; 1 more failed. The store holds no purified model yet." in text
    for term in ("PSNR", "SSIM", "Max. Δ"):
        assert f"<dt>{term}</dt>" in text


def test_one_victim_alone_needs_no_gallery(tmp_path: Path) -> None:
    text = build_page(victim(tmp_path, "badnets"), tmp_path)
    assert not cards(text)
    assert "badnets: PSNR 21.4 dB, SSIM 0.984, largest change of a pixel 204 of 255" in text


def test_two_seeds_of_an_attack_are_one_card(tmp_path: Path) -> None:
    made = [record(failed(attack="badnets", seed=0), kind="victim", status="failed")]
    made += victim(tmp_path, "badnets", seed=1)
    made += victim(tmp_path, "blended", seed=1, poison_rate=0.1)
    found = cards(build_page(made, tmp_path))
    assert list(found) == ["badnets", "blended"]
    assert "failed" not in found["badnets"]  # the seed that did not fail is shown
    assert "10 % poisoned" in found["blended"]


def test_the_headline_of_victims(tmp_path: Path) -> None:
    made = [*victim(tmp_path, "badnets", asr=0.9), *victim(tmp_path, "blended", asr=0.9)]
    made[1] = baseline(cell(purifier="control", asr=0.01, clean_acc=0.9256), _cell(made[0]))
    assert headline(summarise(made)) == (
        "2 attacks: ASR is 90.0 %, and clean accuracy lies at most 1.6 points below the "
        "control's. The store holds no purified model yet."
    )


def _cell(one: Record) -> Any:  # noqa: ANN401  # mypy: a victim of a test always has one
    assert one.cell
    return one.cell


def test_targets_of_both_kinds_are_sorted() -> None:
    made = [record(cell(target=target)) for target in ("all-to-all", 10, 2)]
    assert [group.key.target for group in summarise(made)] == [2, 10, "all-to-all"]


def _generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_documentation_shows_the_gallery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(GENERATE.parent)
    folder, docs = tmp_path / "store", tmp_path / "docs"
    records = store(folder)
    write_store(folder, records)
    (docs / "gallery").mkdir(parents=True)
    (docs / "gallery" / "gone.png").write_bytes(b"of an attack that is no longer there")
    _generate().write_attacks(folder, docs)
    text = (docs / "attacks.md").read_text(encoding="utf-8")
    assert render(records, "attacks", "markdown").replace("### ", "## ", 1) in text
    linked = re.findall(r"\]\(gallery/([^)]*)\)", text)
    names = {"badnets", "blended-alpha-0-1", "blended-alpha-0-2", "sig"}
    assert {name.removesuffix(".png") for name in linked} == names
    assert {file.name for file in (docs / "gallery").iterdir()} == set(linked)
    assert "Difference ×1; PSNR 21.4 dB, SSIM 0.984" in text
    strips = comparison(folder, records[0], other="preview_triggered")
    assert not isinstance(strips, str)
    with Image.open(docs / "gallery" / "badnets.png") as image:
        assert image.size == (3 * (8 * 28 + 7), 3 * (3 * 28 + 2))
        for x, y in ((0, 0), (100, 20), (27, 27), (223, 27)):
            gaps = x // 28
            for row, strip in enumerate((strips.clean, strips.changed, strips.difference)):
                place = (3 * (x + gaps) + 1, 3 * (y + row * 29) + 1)
                assert image.getpixel(place) == strip.getpixel((x, y))
