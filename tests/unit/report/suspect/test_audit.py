"""The page on an audit: one file without scripts, whatever names models and classes have."""

from __future__ import annotations

import pytest

from remission.records.suspect import SuspectAudit
from remission.report.suspect.audit import audit_page
from tests.unit.report.suspect.suspect_factory import HOSTILE, audit, check_alone, strips


@pytest.mark.parametrize(
    ("found", "pictures"),
    [
        (audit(suspect=HOSTILE), True),
        (audit(), False),
        (audit(purified=None, alone_on_purified=None, lines=()), True),
        (audit(left_out=("the grid",)), True),
    ],
)
def test_a_page_stands_alone(found: SuspectAudit, pictures: bool) -> None:
    check_alone(audit_page(found, strips() if pictures else None))


def test_the_verdict_is_the_headline() -> None:
    page = audit_page(audit(), strips())
    sentence = "A class stands out, and nothing that was tried brings a backdoor back."
    assert f"<h1>{sentence}</h1>" in page
    assert '<strong class="verdict no-relapse-found">no relapse found</strong>' in page
    assert "the numbers are estimates by an inverted trigger" in page
    assert "The trigger was given" in audit_page(audit(exact=True), None)
    assert page.count("<figure") == 2, "curves and line"


def test_a_table_has_a_row_per_trigger() -> None:
    page = audit_page(audit(), None)
    table = page[page.index("<h2>Triggers") :].partition("</table>")[0]
    assert table.count("<tr") == 4, "header, one suspected, two fresh"
    assert "n = 100" in table
