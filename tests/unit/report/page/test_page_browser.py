from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from remission.report.page.page import write_report
from tests.unit.report.report_factory import grid, write_store
from tests.unit.report.tables.test_attacks import store

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)

# What the browser laid out goes into an attribute, where --dump-dom shows it.
MEASURE = """<script>addEventListener("load", () => {
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
  const all = (s) => Array.from(document.querySelectorAll(s));
  document.body.setAttribute("data-measured", JSON.stringify({
    figures: all("figure").map(box), svg: all("figure svg").map(box),
    drawn: all("figure svg").map((e) => { const b = e.getBBox(); return [b.width, b.height]; }),
    outside: all("figure svg text").filter((e) => { const t = e.getBoundingClientRect(),
      s = e.closest("svg").getBoundingClientRect(); return t.left < s.left - 1 || t.top < s.top - 1
      || t.right > s.right + 1 || t.bottom > s.bottom + 1; }).map((e) => e.textContent),
    cards: all(".card").map(box),
    beside: all(".card").map((c) => c.querySelector("dl").getBoundingClientRect().left
      - c.querySelector(".strips").getBoundingClientRect().right),
    images: all("img").map((e) => [e.naturalWidth, e.naturalHeight, ...box(e)]),
    requests: performance.getEntriesByType("resource").map((e) => e.name),
    overflow: document.documentElement.scrollWidth - innerWidth,
  }));
});</script>"""


@pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is on PATH")
def test_a_browser_draws_every_figure_offline(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(write_store(tmp_path / "store", grid(tmp_path / "store")), out)
    measuring = tmp_path / "measuring.html"
    measuring.write_text(out.read_text().replace("</body>", f"{MEASURE}</body>"))
    plain, _ = browse(out, tmp_path)
    assert "</html>" in plain
    _, measured = browse(measuring, tmp_path)
    assert len(measured["figures"]) == 6
    assert len(measured["svg"]) == 4  # relapse, path, equal cost, what predicts relapse
    for width, height in measured["figures"] + measured["svg"] + measured["drawn"]:
        assert width > 300
        assert height > 100
    assert measured["outside"] == [], "labels that the edge of their figure cuts"
    assert len(measured["images"]) == 6
    for natural_width, natural_height, width, height in measured["images"]:
        assert (natural_width, natural_height) == (8 * 28, 28)
        assert width / height == pytest.approx(8, rel=0.02)
    assert [name for name in measured["requests"] if not name.startswith("data:")] == []
    assert measured["overflow"] <= 0


@pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is on PATH")
def test_a_browser_lays_the_cards_of_a_gallery_side_by_side(tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    write_report(write_store(tmp_path / "store", store(tmp_path / "store")), out)
    measuring = tmp_path / "measuring.html"
    measuring.write_text(out.read_text().replace("</body>", f"{MEASURE}</body>"))
    _, measured = browse(measuring, tmp_path)
    assert len(measured["cards"]) == 5
    for width, height in measured["cards"][:4]:  # the last one failed
        assert 440 < width < 500  # two beside each other
        assert 150 < height < 290
    assert all(distance > 0 for distance in measured["beside"][:4])  # numbers beside the pictures
    for natural_width, natural_height, width, height in measured["images"]:
        assert width / height == pytest.approx(natural_width / natural_height, rel=0.03)
    assert [name for name in measured["requests"] if not name.startswith("data:")] == []
    assert measured["overflow"] <= 0


def browse(page: Path, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """Returns elements and measurements of the loaded page; a console message fails the test."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--window-size=1200,900",
            "--enable-logging=stderr",
            "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "CONSOLE" not in done.stderr
    assert "ERR_" not in done.stderr
    match = re.search(r'data-measured="([^"]*)"', done.stdout)
    return done.stdout, json.loads(unescape(match.group(1))) if match else {}
