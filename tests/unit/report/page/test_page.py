from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import remission.report
from remission.errors import StoreError
from remission.records import Artefact, Record
from remission.report.figures.lines import relapse
from remission.report.groups.results import summarise
from remission.report.page.page import build_page, write_report
from tests.unit.report.report_factory import (
    cell,
    curve,
    grid,
    preview,
    record,
    records,
    write_store,
)

HOSTILE = "<script>alert('x')</script>\"$x_1$ & "


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    made = grid(folder) + grid(folder, seeds=2, attack="blended")
    # a reactivation without a budget and a name that attacks the page
    for asr, purifier in ((0.02, "control"), (0.4, "ft")):
        params = {"epochs": 10} if purifier == "ft" else {}
        one = cell(asr=asr, purifier=purifier, purifier_params=params, reactivation="oba")
        made.append(record(one, kind="reactivated"))
    made.append(record(cell(purifier=HOSTILE, asr=0.1), label=HOSTILE, settings={HOSTILE: HOSTILE}))
    return write_store(folder, made)


@pytest.fixture(scope="module")
def page(store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("page") / "report.html"
    write_report(store, out)
    return out


class Attributes(HTMLParser):
    """Collects every attribute of the page, and the tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [(tag, name, value or "") for name, value in attrs]

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.found if name in names]


def test_the_page_asks_for_nothing(page: Path) -> None:
    text = page.read_text()
    html = Attributes(text)
    links = html.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert links
    assert [link[:40] for link in links if not link.startswith(("data:", "#"))] == []
    assert [url for url in re.findall(r"url\(([^)]*)\)", text) if not url.startswith("#")] == []
    assert "@import" not in text
    assert html.tags.count("script") == 1
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|\bimport\b|eval\(", text)
    assert len(text) < 3_000_000


def test_ids_are_unique_and_every_reference_is_met(page: Path) -> None:
    text = page.read_text()
    html = Attributes(text)
    ids = html.values("id")
    assert len(ids) == len(set(ids))
    used = [href[1:] for href in html.values("href") if href.startswith("#")]
    used += re.findall(r"url\(#([^)]+)\)", text)
    assert used
    assert set(used) <= set(ids)


def test_a_hostile_name_is_text(page: Path) -> None:
    text = page.read_text()
    assert text.count("<script") == 1, "the page's own"
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text


def test_every_figure_has_a_caption_and_a_spoken_label(page: Path) -> None:
    html = Attributes(page.read_text())
    assert html.tags.count("figure") == html.tags.count("figcaption") > 0
    labels = [value for tag, name, value in html.found if (tag, name) == ("svg", "aria-label")]
    # per group relapse and path; one of oba; one of what predicts relapse, one at equal cost
    assert len(labels) == html.tags.count("svg") == 7
    assert all(len(label) > 40 for label in labels)
    assert len([1 for tag, name, v in html.found if (tag, name) == ("img", "alt") and v]) == 18


def test_the_page_says_what_failed_and_who_relapses(page: Path) -> None:
    text = page.read_text()
    assert "only in remission: anp (retuning at n=5, 100)" in text
    assert "anp retuning n=20 seed 0</strong>: the loss became NaN in step 7" in text
    assert "names class 0, into which its trigger moves 97.3 % of the images" in text


def test_the_same_records_give_the_same_page(store: Path, page: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    write_report(store, again)
    assert again.read_bytes() == page.read_bytes()


def written(folder: Path, file: str, content: bytes) -> Artefact:
    """Writes an artefact with this content into a store."""
    (folder / file).write_bytes(content)
    return Artefact(file=file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


@pytest.mark.parametrize(
    "case", ["missing", "short", "broken", "outside", "large", "unlike", "none"]
)
def test_a_preview_that_cannot_be_shown_is_a_sentence(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    clean = preview(folder, "clean", trigger=False)
    other = preview(folder, "other", trigger=True)
    sentence = {
        "missing": f"the file {other.file} is missing from the store",
        "short": f"the file {other.file} is damaged (60 bytes instead of {other.bytes})",
        "broken": "file cannot be read",
        "outside": "is damaged (wrong checksum)",
        "large": "too large to show",
        "unlike": "previews have different sizes",
        "none": "the record keeps no preview",
    }[case]
    if case == "missing":
        (folder / other.file).unlink()
    elif case == "short":
        (folder / other.file).write_bytes((folder / other.file).read_bytes()[:60])
    elif case == "broken":
        other = written(folder, other.file, (folder / other.file).read_bytes()[:60])
    elif case == "outside":
        (folder / other.file).rename(tmp_path / "secret.png")
        (folder / other.file).symlink_to(tmp_path / "secret.png")
        other = Artefact(file=other.file, sha256="0" * 64, bytes=other.bytes)
    elif case == "large":
        other = Artefact(file=other.file, sha256=other.sha256, bytes=(1 << 24) + 1)
    elif case == "unlike":
        stream = io.BytesIO()
        Image.new("RGB", (20, 10)).save(stream, format="PNG")
        other = written(folder, other.file, stream.getvalue())
    artefacts = {} if case == "none" else {"preview_clean": clean, "preview_triggered": other}
    text = build_page([record(cell(), kind="victim", artefacts=artefacts)], folder)
    assert sentence in text
    assert "<img" not in text


def test_colour_previews_and_a_bare_store(tmp_path: Path) -> None:
    clean = preview(tmp_path, "clean", trigger=False, mode="RGB")
    artefacts = {"preview_clean": clean, "preview_triggered": clean}
    text = build_page([record(cell(), kind="victim", artefacts=artefacts)], tmp_path)
    assert "no difference" in text
    text = build_page([record(kind="path", paths=(curve(),)), record(kind="inversion")], tmp_path)
    assert "holds no purified model yet" in text
    assert "The records name no environment." in text


def test_a_budget_of_no_images_is_no_point_of_the_relapse_curve(tmp_path: Path) -> None:
    made = grid(tmp_path)
    for asr, name in ((0.02, "control"), (0.4, "ft")):
        params = {"epochs": 10} if name == "ft" else {}
        none = {"reactivation": "retuning", "budget": 0}
        made.append(record(cell(asr=asr, purifier=name, purifier_params=params, **none)))
    (group,) = summarise(made)
    columns = list(group.columns)
    assert [column.budget for column in columns] == [0, 1, 5, 20, 100]
    assert {tuple(line.x) for line in relapse(group, columns)} == {(0, 1, 5, 20, 100)}
    page = build_page(made, write_store(tmp_path, made))
    assert page.count("ASR before and after retuning n=0") == 1


def test_all_branches_failed(tmp_path: Path) -> None:
    bad = cell(purifier="ft", asr=None, clean_acc=None, status="failed", error="NaN")
    text = build_page(records(cell(), bad), tmp_path)
    assert 'class="verdict failed"' in text


def test_refusals_name_the_remedy(store: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist; create it, or name"):
        write_report(store, tmp_path / "nowhere" / "a.html")
    with pytest.raises(StoreError, match="is a folder; name a file"):
        write_report(store, tmp_path)
    with pytest.raises(StoreError, match="there is no store at"):
        write_report(tmp_path / "none", tmp_path / "a.html")


def test_a_failed_write_keeps_the_old_page(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.html"
    out.write_text("old")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"No space left on device\); free some space"):
        write_report(store, out)
    assert out.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_commands_write_and_import_no_torch(store: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from remission.cli.table import table; from remission.cli.report import report\n"
        "heavy = {'torch', 'matplotlib', 'scipy', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "table(Path(sys.argv[1])); report(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "assert 'torch' not in sys.modules\n"
    )
    source = Path(next(iter(remission.report.__path__))).parents[1]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(store), str(tmp_path / "a.html")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(source), "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, done.stderr
    assert "O-RobustAcc" in done.stdout
    assert done.stderr.strip() == f"report: {tmp_path / 'a.html'}"
    assert (tmp_path / "a.html").stat().st_size > 10_000


rates = st.none() | st.floats(0, 1)
words = st.text(max_size=12)


@settings(max_examples=40, deadline=None)
@given(
    asr=rates, name=words, params=st.dictionaries(words, words | st.integers()), seed=st.integers()
)
def test_records_survive_json(asr: float | None, name: str, params: object, seed: int) -> None:
    interval = None if asr is None else (0.0, asr)
    one = cell(id=name, asr=asr, asr_interval=interval, purifier_params=params, seed=seed)
    made = record(one, label=name, paths=(curve(purifier=name),), settings={"a": params})
    assert Record.from_json(made.to_json()) == made


def test_the_page_replaces_no_special_file_and_nothing_of_the_store(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", [record(cell())])
    kept = tmp_path / "kept.html"
    kept.write_text("mine", encoding="utf-8")
    (tmp_path / "link.html").symlink_to(kept)
    os.mkfifo(tmp_path / "pipe.html")
    inside = next((store / "records").rglob("*.json"))
    before = inside.read_bytes()
    for out in (tmp_path / "link.html", tmp_path / "pipe.html", inside):
        with pytest.raises(StoreError):
            write_report(store, out)
    assert kept.read_text(encoding="utf-8") == "mine"
    assert inside.read_bytes() == before
