"""The leaderboard as one self-contained HTML page, with a CSV file beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remission.errors import StoreError
from remission.records import brief
from remission.report.groups.estimates import MISSING
from remission.report.groups.labels import flat, printable
from remission.report.groups.sentences import listed
from remission.report.measures.board_numbers import GAP
from remission.report.measures.leaderboard import (
    ALL,
    COMPARED,
    Board,
    BoardRow,
    boards,
    differences,
)
from remission.report.measures.worst_gap import BOUNDS, MIDDLE
from remission.report.page.evidence import RecordList, Stores
from remission.report.page.files import Say, check_place, silent, write_page
from remission.report.page.template import as_json, render_page, with_minus
from remission.report.page.worst import worst_parts
from remission.report.tables.formats import csv_text
from remission.report.tables.leaderboard import (
    BOUND,
    BUDGET,
    NOTES,
    BoardColumn,
    board_objects,
    bound_text,
    columns,
    difference_table,
)
from remission.report.tables.purified import gap_text

_FILTERS = {"dataset": "Data set", "arch": "Model", "attack": "Attack"}
_FURTHER = {"runs": "Runs", "purifier": "Purifier"}
"""Filters for which a page has a use only where these things occur in several rows."""
_SWITCHES = {BUDGET: "Budget", BOUND: "Worst retuning costs at most"}


def write_leaderboard(
    folders: Sequence[Path],
    out: Path,
    *,
    trials: Path | None = None,
    all_settings: bool = False,
    say: Say = silent,
) -> Path:
    """Writes the leaderboard of the records below ``folders``, and its rows as CSV.

    Args:
        folders: stores, or folders of records in git.
        out: the page.
        trials: the store of the models on which settings were chosen; None: nothing is known of
            how they were chosen.
        all_settings: whether to include results of other data or other settings than those of the
            last runs.
        say: takes a few words on each step of the work.

    Returns:
        The CSV file, which has the name of the page and the ending ``.csv``.

    Raises:
        StoreError: a store cannot be read, or a file cannot be written.
    """
    check_place(out, folders)
    table = out.with_suffix(".csv")
    if table == out:
        raise StoreError(
            f"'{out}' would be the page and the table", "name another file, like leaderboard.html"
        )
    check_place(table, folders)
    say("reading records")
    stores = Stores.read(folders, all_settings=all_settings, trials=trials)
    say("comparing purifiers")
    all_boards = boards(stores.results)
    page = build_leaderboard(stores, all_boards, say)
    write_page(out, page)
    write_page(table, csv_text(board_objects(all_boards)) + "\n")
    return table


def build_leaderboard(stores: Stores, all_boards: Sequence[Board], say: Say = silent) -> str:
    """Returns the page as HTML text.

    Args:
        stores: the records.
        all_boards: the boards of these records.
        say: takes a few words on each step of the work.
    """
    record_list, shown = RecordList(stores), columns(all_boards)
    rows = [row for board in all_boards for row in board.rows]
    say("writing the page")
    lines = [
        _line(number, row, shown, record_list, several=len(all_boards) > 1)
        for number, row in enumerate(rows)
    ]
    return render_page(
        "leaderboard.html.j2",
        headline=_headline(all_boards),
        header=[(column.header, column.switches, column.wordy) for column in shown],
        lines=lines,
        behind=_behind(rows, lines, record_list),
        filters=json.dumps(_filters(rows)),
        switches=json.dumps(_SWITCHES),
        defaults=json.dumps({"attack": ALL, BOUND: bound_text(BOUNDS[MIDDLE])}),
        notes=NOTES,
        differences=as_json({"measures": _measures(), "pairs": _pairs(all_boards)}),
        paired=[table for board in all_boards if (table := difference_table(board))],
        maps=worst_parts(stores.results),
        hidden=stores.results.note,
        trials=stores.results.trials is not None,
        **record_list.content(),
    )


def _filters(rows: Sequence[BoardRow]) -> dict[str, str]:
    """Returns the attributes that rows can be filtered by, each with the name of its list."""
    overall = [row for row in rows if row.attack == ALL]
    useful = {
        "runs": any(row.setting for row in rows),
        "purifier": len({row.purifier.name for row in overall}) < len(overall),
    }
    return _FILTERS | {name: label for name, label in _FURTHER.items() if useful[name]}


def _headline(all_boards: Sequence[Board]) -> str:
    """Returns one or two sentences on the whole board; no full stop at their end."""
    overall = [row for board in all_boards for row in board.overall]
    if not overall:
        return "The stores hold no purified model yet: there is nothing to compare"
    purifiers = len({row.purifier.name for row in overall})
    attacks = {group.key.attack.name for board in all_boards for group in board.groups}
    models = listed([f"{key.dataset} with {key.arch}" for key in _models(all_boards)])
    sentence = (
        f"{len(overall)} {'row' if len(overall) == 1 else 'rows'} of {purifiers} "
        f"{'purifier' if purifiers == 1 else 'purifiers'} under {len(attacks)} "
        f"{'attack' if len(attacks) == 1 else 'attacks'}, on {models}"
    )
    if len(all_boards) > 1:
        return sentence
    defences = [row for row in overall if not row.knows_trigger and row.number(GAP).cells]
    effective = [row for row in defences if row.cells.purified]
    if defences and not effective:
        sentence += ". No purifier that does not know the trigger purified a model"
    if effective:
        first = min(effective, key=BoardRow.order)
        sentence += (
            f". Of the purifiers that purified a model and do not know the trigger, {first.label} "
            f"has the smallest standard gap: {gap_text(first.number(GAP).estimate)} points"
        )
    return sentence


def _models(all_boards: Sequence[Board]) -> list[Any]:
    """Returns a key for each data set and model, each once."""
    keys = [board.groups[0].key for board in all_boards]
    return list({(key.dataset, key.arch): key for key in keys}.values())


def _line(
    number: int,
    row: BoardRow,
    shown: Sequence[BoardColumn],
    record_list: RecordList,
    *,
    several: bool,
) -> dict[str, Any]:
    """Collects one row of the table for the template.

    Args:
        number: of the row on the page.
        row: the row.
        shown: the columns.
        record_list: numbers the records.
        several: whether the page has several boards, so that labels may occur twice.
    """
    scope = [row.key.dataset, row.key.arch, *([row.setting] if row.setting else [])]
    return {
        "number": number,
        "label": printable(row.label),
        "attack": printable(row.attack),
        "scope": printable(" \u00b7 ".join([row.attack, *(scope if several else [])])),
        "dataset": printable(row.key.dataset),
        "arch": printable(row.key.arch),
        "runs": printable(row.setting),
        "purifier": printable(row.purifier.name),
        "cells": [_cell(row, column, record_list) for column in shown],
    }


def _cell(row: BoardRow, column: BoardColumn, record_list: RecordList) -> dict[str, Any]:
    text, number = with_minus(printable(column.text(row))), row.number(column.number)
    mean = number.estimate.mean
    sort = column.sort(row) if column.sort else None
    return {
        "text": text,
        "wordy": column.wordy,
        "name": printable(f"{column.header} of {row.label}, {row.attack}: {text}"),
        "sort": "" if sort is None else f"{sort:.6g}",
        "shade": max(0.0, mean) if column.shade and mean is not None else None,
        "records": [] if text == MISSING else record_list.numbers(number.records),
    }


def _behind(
    rows: Sequence[BoardRow], lines: Sequence[dict[str, Any]], record_list: RecordList
) -> list[dict[str, Any]]:
    """Returns the records behind each row; a row over all attacks leads to those of each attack."""
    found = []
    for row, line in zip(rows, lines, strict=True):
        single = [
            other["number"]
            for one, other in zip(rows, lines, strict=True)
            if row.attack == ALL != one.attack
            and (one.purifier, one.key.dataset, one.key.arch, one.key.setting)
            == (row.purifier, row.key.dataset, row.key.arch, row.key.setting)
        ]
        numbers = sorted({number for cell in line["cells"] for number in cell["records"]})
        found.append(
            {
                "number": line["number"],
                "title": f"{line['label']}, {line['attack']}",
                "settings": printable(", ".join(_settings(row))),
                "rows": [(number, lines[number]["attack"]) for number in single],
                "records": [] if single else [(n, record_list.label(n)) for n in numbers],
            }
        )
    return found


def _settings(row: BoardRow) -> list[str]:
    """Returns the exact settings of a purifier, its name first."""
    parameters = flat(brief(row.purifier.parameters))
    return [row.purifier.name, *(f"{key} = {value}" for key, value in parameters.items())]


def _measures() -> list[str]:
    """Returns the names of the numbers that differences are shown of."""
    return ["Standard gap", *(f"Worst gap within {bound_text(bound)}" for bound in BOUNDS)]


def _pairs(all_boards: Sequence[Board]) -> dict[str, list[list[float | None] | None]]:
    """Returns the differences in points: ``first-second`` -> mean, half width, cells of each."""
    pairs, start = {}, 0
    for board in all_boards:
        for pair in differences(board):
            values = [
                value and [_points(value[0]), _points(value[1]), value[2]] for value in pair.values
            ]
            if any(values):
                pairs[f"{start + pair.first}-{start + pair.second}"] = values
        start += len(board.rows)
    assert len(_measures()) == len(COMPARED), "one name per number"
    return pairs


def _points(fraction: float | None) -> float | None:
    return None if fraction is None else round(100 * fraction, 1) + 0.0
