"""The script of the pages in a real browser: by mouse, by keyboard alone, for a screen reader."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from remission.report.page.leaderboard import write_leaderboard
from remission.report.page.page import write_report
from remission.report.suspect.audit import audit_page
from tests.unit.report.page.browser import BROWSER, BROWSERS, Browser
from tests.unit.report.report_factory import grid, write_store
from tests.unit.report.suspect.suspect_factory import audit, strips
from tests.unit.report.tables.test_worst import made as made_ensembles

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is on PATH")

VISIBLE = "Array.from(document.querySelectorAll('#board tbody tr:not([hidden])'))"
HEADS = "Array.from(document.querySelectorAll('#board thead th:not([hidden])'))"
FOCUS = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
STATUS = "document.querySelector('.status').textContent"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    first = write_store(folder / "a", grid(folder / "a") + grid(folder / "a", attack="blended"))
    second = write_store(folder / "b", made_ensembles(arch="vgg19_bn"))
    places = {name: folder / f"{name}.html" for name in ("board", "report", "audit")}
    write_leaderboard([first, second], places["board"])
    write_report(first, places["report"])
    places["audit"].write_text(audit_page(audit(), strips()), encoding="utf-8")
    return places


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser") / "profile") as opened:
        yield opened


@pytest.fixture
def board(browser: Browser, pages: dict[str, Path]) -> Iterator[Browser]:
    browser.open(pages["board"])
    yield browser
    assert browser.trouble() == []


def labels(browser: Browser) -> list[str]:
    return list(browser.run(f"{VISIBLE}.map((row) => row.dataset.label)"))


def texts(browser: Browser, header: str) -> list[str]:
    """Returns the texts of a column in the visible rows."""
    place = browser.run(
        "Array.from(document.querySelectorAll('#board thead th')).findIndex("
        f"(head) => head.textContent.trim() === {json.dumps(header)})"
    )
    return list(browser.run(f"{VISIBLE}.map((row) => row.cells[{place}].innerText.trim())"))


def choose(browser: Browser, label: str, value: str) -> None:
    """Chooses an option of the list with this label, as a hand does."""
    browser.run(
        "{ const list = Array.from(document.querySelectorAll('label')).find((one) =>"
        f" one.textContent.startsWith({json.dumps(label)})).querySelector('select');"
        f" list.value = {json.dumps(value)}; list.dispatchEvent(new Event('change')); }}"
    )


def head(browser: Browser, name: str) -> str:
    """Returns a selector of the button in the header cell of a column."""
    place = browser.run(
        "Array.from(document.querySelectorAll('#board thead th')).findIndex("
        f"(head) => head.textContent.trim() === {json.dumps(name)}) + 1"
    )
    return f"#board thead th:nth-child({place}) button"


def tab_to(browser: Browser, name: str) -> None:
    """Presses Tab until what has the focus is called so."""
    for _ in range(120):
        browser.press("Tab")
        if browser.run(FOCUS).strip() == name:
            return
    pytest.fail(f"no Tab leads to {name!r}")


def test_a_click_sorts_by_a_column_and_another_turns_it_round(board: Browser) -> None:
    board.click(head(board, "largest O-ASR"))
    rates = [float(text) for text in texts(board, "largest O-ASR")]
    assert rates == sorted(rates)
    sorts = f"{HEADS}.map((one) => one.getAttribute('aria-sort')).filter(Boolean)"
    assert board.run(sorts) == ["ascending"]
    board.click(head(board, "largest O-ASR"))
    assert [float(text) for text in texts(board, "largest O-ASR")] == sorted(rates, reverse=True)
    assert board.run(sorts) == ["descending"]
    assert board.run(STATUS).endswith("sorted by largest O-ASR, descending.")


def test_rows_without_a_number_come_last_in_both_directions(board: Browser) -> None:
    for _ in range(2):
        board.click(head(board, "standard gap"))
        gaps = texts(board, "standard gap")
        assert [gap == "–" for gap in gaps] == [False] * 4 + [True] * 4


def test_the_keyboard_alone_sorts_hides_and_brings_back(board: Browser) -> None:
    tab_to(board, "standard gap")
    board.press("Enter")
    first = labels(board)
    board.press("Space")
    assert labels(board)[:4] == first[:4][::-1]
    name, then = board.run(
        f"{VISIBLE}.slice(0, 2).map((row) => `${{row.dataset.label}}, ${{row.dataset.scope}}`)"
    )
    tab_to(board, f"Hide {name}")
    board.press("Enter")
    assert len(labels(board)) == len(first) - 1
    assert board.run(STATUS).startswith(f"{name} is hidden. ")
    assert board.run(FOCUS) == f"Hide {then}", "the focus stays in the table"
    board.press("Space")
    assert len(labels(board)) == len(first) - 2
    board.run("document.querySelector('.back').focus()")
    assert board.run(FOCUS) == "Show 2 hidden rows"
    board.press("Enter")
    assert sorted(labels(board)) == sorted(first)


def test_filters_show_the_rows_of_an_attack_and_a_model(board: Browser) -> None:
    assert len(labels(board)) == 8, "all attacks at the start"
    choose(board, "Attack", "blended")
    assert texts(board, "attack") == ["blended"] * 5
    choose(board, "Model", "vgg19_bn")
    assert labels(board) == []
    choose(board, "Attack", "")
    assert len(labels(board)) == 6
    assert board.run(STATUS) == "6 of 21 rows are shown."
    choose(board, "Purifier", "nad")
    assert labels(board) == ["nad", "nad"], "over all attacks and under the only one"


def test_switches_show_one_budget_and_one_bound(board: Browser) -> None:
    names = f"{HEADS}.map((one) => one.textContent.trim())"
    assert [name for name in board.run(names) if "gap" in name] == [
        "standard gap", "worst gap at 3",
    ]  # fmt: skip
    choose(board, "Budget", "n = 20")
    choose(board, "Worst retuning", "1 point")
    assert [name for name in board.run(names) if "gap" in name] == ["gap at n=20", "worst gap at 1"]
    shown = board.run(f"{VISIBLE}.map((r) => Array.from(r.cells).filter((c) => !c.hidden).length)")
    assert set(shown) == {board.run(f"{HEADS}.length")}


def test_the_panel_shows_settings_versions_and_digest_and_gives_the_focus_back(
    board: Browser,
) -> None:
    choose(board, "Attack", "badnets")
    choose(board, "Budget", "n = 20")
    link = "#board tbody tr:not([hidden]) td:not([hidden]) a"
    board.run(f"document.querySelector({json.dumps(link)}).focus()")
    name = board.run(FOCUS)
    board.press("Enter")
    panel = "document.querySelector('dialog[open]')"
    assert board.run(f"{panel}.querySelector('h2').textContent") == name
    records = board.run(f"{panel}.querySelectorAll('details').length")
    assert records == 3, "the model, the same retuned, and the control retuned"
    text = board.run(f"{panel}.textContent")
    for word in ("SHA-256", "versions", "file", "retuning n=20"):
        assert word in text
    assert board.run(f"{panel}.querySelector('.settings').textContent").startswith("pam, ")
    assert ("dialog", name) in board.names()
    board.press("Escape")
    assert board.run(f"{panel} === null")
    assert board.run(FOCUS) == name


def test_any_two_rows_are_compared(board: Browser) -> None:
    said = "document.querySelector('.compare output').innerText"
    assert "Standard gap: " in board.run(said)
    first = "document.querySelectorAll('.compare select')[0]"
    options = board.run(f"Array.from({first}.options, (one) => one.textContent)")
    assert len(options) == 8
    choose(board, "Second", board.run(f"{first}.value"))
    assert board.run(said) == "Choose two different rows."
    choose(board, "Model", "vgg19_bn")
    text = board.run(said)
    assert (
        "Worst gap within 3 points: −30.0 points in 1 cell; a single cell has no interval" in text
    )
    choose(board, "First", board.run("document.querySelectorAll('.compare select')[1].value"))
    assert board.run(said) == "Choose two different rows."


def test_every_control_has_a_name(browser: Browser, pages: dict[str, Path]) -> None:
    for page in pages.values():
        browser.open(page)
        names = browser.names()
        assert len(names) > 5
        assert [role for role, name in names if not name.strip()] == []
    assert browser.trouble() == []


def test_curves_have_a_legend_and_values(browser: Browser, pages: dict[str, Path]) -> None:
    browser.open(pages["report"])
    figure = "document.querySelector('figure.plot')"
    buttons = browser.run(
        f"Array.from({figure}.querySelectorAll('.legend button'), b => b.textContent)"
    )
    assert "control" in buttons
    assert len(buttons) == 6
    shown = f"{figure}.querySelectorAll('g[data-line=\"anp\"]')"
    browser.run(f"{figure}.querySelector('.legend button').focus()")
    while browser.run(FOCUS) != "anp":
        browser.press("Tab")
    assert browser.run(f"{figure}.querySelector('.values').textContent").startswith(
        "anp: n = 0: ASR 1 %"
    )
    browser.press("Enter")
    assert browser.run("document.activeElement.getAttribute('aria-pressed')") == "false"
    assert browser.run(f"Array.from({shown}, (one) => one.style.display)") == ["none", "none"]
    browser.press("Space")
    assert browser.run(f"Array.from({shown}, (one) => one.style.display)") == ["", ""]
    x, y = browser.run(
        f"(() => {{ const g = {shown}[0], [x, y] = JSON.parse(g.dataset.points)[2];"
        " g.ownerSVGElement.scrollIntoView({block: 'center'});"
        " const p = new DOMPoint(x, y).matrixTransform(g.getScreenCTM()); return [p.x, p.y]; })()"
    )
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=x + 3, y=y + 2)
    tip = f"{figure}.querySelector('.tip')"
    assert browser.run(f"{tip}.hidden") is False
    assert "n = 5: ASR " in browser.run(f"{tip}.textContent")
    assert browser.trouble() == []


def test_the_table_of_a_report_keeps_victim_and_control_above(
    browser: Browser, pages: dict[str, Path]
) -> None:
    browser.open(pages["report"])
    table = "document.querySelector('#group1 table.summary')"
    rows = f"Array.from({table}.tBodies[0].rows, (row) => row.className)"
    asr = (
        f"Array.from({table}.querySelectorAll('button.sort')).find(b => b.textContent == 'n = 100')"
    )
    for direction in ("ascending", "descending"):
        browser.run(f"{asr}.click()")
        assert browser.run(rows)[:2] == ["none", "control"]
        assert browser.run(f"{asr}.closest('th').getAttribute('aria-sort')") == direction
        values = [
            float(text.split()[0])
            for text in browser.run(
                f"Array.from({table}.tBodies[0].rows, (row) => row.cells[8].innerText)"
            )[2:]
        ]
        assert values == sorted(values, reverse=direction == "descending")


def test_a_narrow_page_does_not_scroll_sideways(browser: Browser, pages: dict[str, Path]) -> None:
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=400,
        height=800,
        deviceScaleFactor=1,
        mobile=False,
    )
    for page in pages.values():
        browser.open(page)
        assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0, page.name
    browser.call("Emulation.clearDeviceMetricsOverride")


def test_without_scripts_everything_is_there(tmp_path: Path, pages: dict[str, Path]) -> None:
    with Browser(tmp_path / "profile", scripts=False) as plain:
        plain.open(pages["board"])
        nodes = plain.call("Accessibility.getFullAXTree")["nodes"]
        roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
        assert roles.count("row") >= 22, "the header and every row"
        assert "combobox" not in roles, "no control without a use"
        names = [name for role, name in plain.names() if role == "link"]
        assert any(name.startswith("standard gap of pam") for name in names)
        assert plain.trouble() == []
