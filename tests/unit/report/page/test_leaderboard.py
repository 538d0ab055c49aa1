"""The page of the leaderboard without its script: complete, offline, with records per number."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from remission.cli import app
from remission.errors import StoreError, UserError
from remission.records import Record
from remission.report.measures.leaderboard import boards, differences
from remission.report.page.evidence import Stores
from remission.report.page.leaderboard import write_leaderboard
from remission.report.page.template import as_json
from tests.unit.report.page.test_page import HOSTILE, Attributes
from tests.unit.report.report_factory import cell, grid, record, records, write_store
from tests.unit.report.tables.test_worst import made as made_ensembles


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two stores: two attacks in one of them; ensembles and a hostile name in the other."""
    first, second = (tmp_path_factory.mktemp(name) / "store" for name in ("first", "second"))
    write_store(first, grid(first) + grid(first, seeds=2, attack="blended"))
    hostile = record(cell(purifier=HOSTILE, asr=0.1, arch="vgg19_bn"), label=HOSTILE)
    write_store(second, [*made_ensembles(arch="vgg19_bn"), hostile])
    return [first, second]


@pytest.fixture(scope="module")
def page(stores: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("board") / "board.html"
    assert write_leaderboard(stores, out) == out.with_suffix(".csv")
    return out


def lines(page: Path) -> list[dict[str, str]]:
    with page.with_suffix(".csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_page_asks_for_nothing_and_every_link_leads_somewhere(page: Path) -> None:
    html = Attributes(page.read_text())
    links = html.values("src", "href", "xlink:href", "srcset", "action", "data", "poster")
    assert [link for link in links if not link.startswith(("data:", "#"))] == []
    ids = html.values("id")
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    shown = {number for value in html.values("data-records") for number in value.split()}
    assert shown
    assert {f"record-{number}" for number in shown} <= set(ids)


def test_a_hostile_name_is_text(page: Path) -> None:
    text = page.read_text()
    assert text.count("<script") == 2, "the page's own script, and its data"
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in text
    assert as_json("</script>&") == '"\\u003c/script>\\u0026"'


def test_each_row_of_the_page_is_a_line_of_the_file(page: Path) -> None:
    html = Attributes(page.read_text())
    rows = html.values("data-row")
    assert len(lines(page)) == len(rows)
    # five purifiers over all attacks and under each of two; three and the hostile one, twice
    assert len(rows) == 5 * 3 + 4 * 2
    assert {line["arch"] for line in lines(page)} == {"resnet18:16", "vgg19_bn"}


def test_the_file_holds_the_numbers_as_fractions(stores: list[Path], page: Path) -> None:
    made = boards(Stores.read(stores).results)
    rows = [row for board in made for row in board.rows]
    for row, line in zip(rows, lines(page), strict=True):
        mean = row.number("gap").estimate.mean
        assert line["standard_gap"] == ("" if mean is None else str(mean))
        assert json.loads(line["purifier_params"]) == row.purifier.parameters
    worst = {line["label"]: line["worst_gap_3"] for line in lines(page) if line["worst_gap_3"]}
    assert {name: float(gap) for name, gap in worst.items()} == pytest.approx(
        {"ft": 0.5, "ep": 0.2, "nad": 0.7}
    )


def test_a_record_is_shown_with_the_digest_of_its_file(stores: list[Path], page: Path) -> None:
    text = page.read_text()
    shown = re.findall(
        r"<dt>file</dt><dd>store/([^<]*)</dd>.*?<code>([0-9a-f]{64})</code>", text, re.S
    )
    assert len(shown) > 40
    for place, digest in shown:
        contents = [(store / place).read_bytes() for store in stores if (store / place).exists()]
        assert digest in {hashlib.sha256(content).hexdigest() for content in contents}


def test_the_differences_of_all_pairs_lie_in_the_page(stores: list[Path], page: Path) -> None:
    text = page.read_text()
    content = re.findall(r'<script type="application/json" id="pairs">(.*?)</script>', text)[0]
    pairs = json.loads(content)["pairs"]
    start = 0
    for board in boards(Stores.read(stores).results):
        for pair in differences(board):
            if value := pair.values[0]:
                found = pairs[f"{start + pair.first}-{start + pair.second}"][0]
                assert found[0] == pytest.approx(100 * value[0], abs=0.051)
                assert found[2] == value[2]
        start += len(board.rows)
    assert "paired differences" in text


def test_the_heat_map_is_there_where_there_are_ensembles(page: Path) -> None:
    html = Attributes(page.read_text())
    labels = [value for tag, name, value in html.found if (tag, name) == ("svg", "aria-label")]
    assert len(labels) == 1
    assert "ASR in percent after each retuning" in labels[0]
    assert sorted(set(html.values("data-bound"))) == ["1 point", "3 points", "5 points"]


def test_a_result_goes_before_a_failure_of_the_same_stage(tmp_path: Path) -> None:
    one = cell(purifier="ft", asr=0.1)
    stage = record(one, finished="2026-01-01T00:00:00Z")
    broken = record(id=stage.id, kind="purified", status="failed", error="NaN")
    for first, second in ((stage, broken), (broken, stage)):
        folders = [
            write_store(tmp_path / f"{number}-{first.status}", [each, *records(cell())])
            for number, each in enumerate((first, second))
        ]
        results = Stores.read(folders).results
        assert len(results) == 2, "each stage once"
        assert {each.status for each in results} == {"done"}


def test_of_two_results_of_a_stage_the_newer_counts(tmp_path: Path) -> None:
    one = cell(purifier="ft", asr=0.1)
    older = record(one, finished="2026-01-01T00:00:00Z")
    newer = record(replace(one, asr=0.2), finished="2026-02-01T00:00:00Z")
    for first, second in ((older, newer), (newer, older)):
        folders = [
            write_store(tmp_path / f"{number}-{first.finished[:7]}", [each, *records(cell())])
            for number, each in enumerate((first, second))
        ]
        shown = [each.cell for each in Stores.read(folders).results if each.cell]
        assert [each.asr for each in shown if each.purifier == "ft"] == [0.2]


def test_a_store_of_victims_has_nothing_to_compare(tmp_path: Path) -> None:
    write_leaderboard([write_store(tmp_path / "store", records(cell()))], tmp_path / "a.html")
    assert "there is nothing to compare." in (tmp_path / "a.html").read_text()


def test_trials_say_what_was_held_out(tmp_path: Path) -> None:
    def made(attack: str) -> list[Record]:
        seen = {"validation_asr": 0.02, "validation_clean_acc": 0.9, "attack": attack}
        victim = cell(**{**seen, "validation_asr": 0.99}, asr=0.99)
        control = cell(**seen, purifier="control", asr=0.02)
        tuned = cell(**seen, purifier="ft", purifier_params={"lr": 0.2}, asr=0.02)
        return records(victim, control, tuned)

    store = write_store(tmp_path / "store", [*made("badnets"), *made("bpp")])
    trials = write_store(tmp_path / "trials", made("bpp"))
    out = tmp_path / "board.html"
    write_leaderboard([store], out, trials=trials)
    held_out = {(line["attack"], line["attacks_held_out"]) for line in lines(out)}
    assert held_out == {("all attacks", "1"), ("badnets", "1"), ("bpp", "0")}
    assert "1 of 2<br><small>chosen</small>" in out.read_text()


def test_the_same_records_give_the_same_page(
    stores: list[Path], page: Path, tmp_path: Path
) -> None:
    again = tmp_path / "again.html"
    write_leaderboard(stores, again)
    assert again.read_bytes() == page.read_bytes()


def test_the_command_writes_both_files_and_refuses_what_it_must(
    stores: list[Path], tmp_path: Path
) -> None:
    run, out = CliRunner(), tmp_path / "board.html"
    done = run.invoke(app, ["leaderboard", *map(str, stores), "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[-1] == f"leaderboard: {out}, {out.with_suffix('.csv')}"
    assert out.stat().st_size > 10_000
    refused = {
        "does not exist; create it": [str(stores[0]), "-o", str(tmp_path / "no" / "a.html")],
        "belongs to the store": [str(stores[0]), "-o", str(stores[0] / "records" / "a.html")],
        "there is no store at": [str(tmp_path / "none"), "-o", str(out)],
        "name another file": [str(stores[0]), "-o", str(tmp_path / "board.csv")],
    }
    for message, arguments in refused.items():
        failed = run.invoke(app, ["leaderboard", *arguments])
        assert isinstance(failed.exception, UserError), arguments
        assert message in str(failed.exception)


def test_a_page_is_whole_or_the_old_one(
    stores: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "board.html"
    out.write_text("old")

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        write_leaderboard(stores, out)
    assert out.read_text() == "old"


@pytest.mark.parametrize(
    ("asr", "said"),
    [
        (0.02, "ft has the smallest standard gap"),
        (0.60, "No purifier that does not know the trigger purified a model"),
    ],
)
def test_the_headline_praises_nobody_who_purified_nothing(
    asr: float, said: str, tmp_path: Path
) -> None:
    def after(purifier: str, rates: tuple[float, float]) -> list[Record]:
        return records(
            *(
                cell(purifier=purifier, asr=rate, reactivation="retuning", budget=budget)
                for budget, rate in zip((5, 20), rates, strict=True)
            )
        )

    rows = records(cell(asr=0.99), cell(purifier="control", asr=0.01), cell(purifier="ft", asr=asr))
    write_store(
        tmp_path / "store", [*rows, *after("control", (0.01, 0.02)), *after("ft", (0.7, 0.9))]
    )
    write_leaderboard([tmp_path / "store"], tmp_path / "board.html")
    assert said in (tmp_path / "board.html").read_text()


@pytest.mark.parametrize("out", [".", "", "/"])
def test_a_folder_is_no_page(stores: list[Path], out: str) -> None:
    with pytest.raises(StoreError, match="is a folder; name a file"):
        write_leaderboard(stores, Path(out))


def test_of_two_versions_of_a_method_in_two_stores_the_newer_counts(tmp_path: Path) -> None:
    """Both would be seeds of one row, and be averaged."""
    made = [cell(asr=0.99), cell(purifier="control", asr=0.01)]
    for name, version, asr in (("old", 1, 0.9), ("new", 2, 0.1)):
        settings = {"purifier": {"method": "mine"}, "versions": {"purifier": version}}
        one = record(
            cell(purifier="mine", asr=asr),
            settings=settings,
            finished=f"2026-01-0{version}T00:00:00+00:00",
        )
        write_store(tmp_path / name, [*records(*made), one])
    read = Stores.read([tmp_path / "new", tmp_path / "old"])
    (found,) = (r.cell for r in read.results if r.cell and r.cell.purifier == "mine")
    assert found.asr == 0.1
