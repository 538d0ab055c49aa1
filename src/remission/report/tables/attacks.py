"""The view ``attacks``: one row per victim, its backdoor and how visible its trigger is."""

from __future__ import annotations

from itertools import groupby

from remission.records import Cell, Json
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.sentences import listed
from remission.report.groups.targets import class_text
from remission.report.measures.victims import Attacked, attacked
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_NOTE = (
    "percent; PSNR in dB and SSIM of triggered against clean test images; largest change of a "
    "pixel in steps of 1/255; control: the same model trained without poison"
)


def percent(cell: Cell | None, measure: str) -> str:
    """Returns a rate of a cell in percent, or why there is none."""
    if cell is None:
        return MISSING
    if cell.status == "failed":
        return FAILED
    rate: float | None = getattr(cell, measure)
    return MISSING if rate is None else f"{100 * rate:.1f}"


def _controls(one: Attacked, measure: str) -> float | None:
    return getattr(one.control, measure) if one.control else None


AttackColumn = TableColumn[Attacked, Attacked]
COLUMNS: list[AttackColumn] = [
    AttackColumn(key="dataset", value=lambda one: one.cell.dataset),
    AttackColumn(key="arch", value=lambda one: one.cell.arch),
    AttackColumn(key="attack", value=lambda one: one.cell.attack),
    AttackColumn(key="attack_params", value=lambda one: one.cell.attack_params),
    AttackColumn(
        header="attack", text=lambda one: one.label, key="label", value=lambda one: one.label
    ),
    AttackColumn(header="attacker controls", text=lambda one: ", ".join(one.threat) or MISSING),
    AttackColumn(
        header="poison rate",
        text=lambda one: f"{100 * one.cell.poison_rate:g} %",
        key="poison_rate",
        value=lambda one: one.cell.poison_rate,
    ),
    AttackColumn(
        header="target",
        text=lambda one: class_text(one.cell.target, one.cell.target_name),
        key="target",
        value=lambda one: one.cell.target,
    ),
    AttackColumn(key="target_name", value=lambda one: one.cell.target_name),
    AttackColumn(
        header="setting",
        text=lambda one: one.setting,
        key="setting",
        value=lambda one: one.key.subject()["setting"],
        varies=True,
    ),
    AttackColumn(
        header="seed",
        text=lambda one: str(one.cell.seed),
        key="seed",
        value=lambda one: one.cell.seed,
    ),
    AttackColumn(key="threat", value=lambda one: list(one.threat)),
    AttackColumn(
        header="C-Acc",
        text=lambda one: percent(one.cell, "clean_acc"),
        key="clean_acc",
        value=lambda one: one.cell.clean_acc,
    ),
    AttackColumn(
        header="control C-Acc",
        text=lambda one: percent(one.control, "clean_acc"),
        key="control_clean_acc",
        value=lambda one: _controls(one, "clean_acc"),
    ),
    AttackColumn(
        header="ASR",
        text=lambda one: percent(one.cell, "asr"),
        key="asr",
        value=lambda one: one.cell.asr,
    ),
    AttackColumn(
        header="control ASR",
        text=lambda one: percent(one.control, "asr"),
        key="control_asr",
        value=lambda one: _controls(one, "asr"),
    ),
    AttackColumn(
        header="PSNR",
        text=lambda one: MISSING if one.psnr is None else f"{one.psnr:.1f}",
        key="psnr",
        value=lambda one: one.psnr,
    ),
    AttackColumn(
        header="SSIM",
        text=lambda one: MISSING if one.ssim is None else f"{one.ssim:.3f}",
        key="ssim",
        value=lambda one: one.ssim,
    ),
    AttackColumn(
        header="largest change",
        text=lambda one: MISSING if one.steps is None else str(one.steps),
        key="largest_change",
        value=lambda one: one.largest_change,
    ),
    AttackColumn(key="compared", value=lambda one: one.compared),
    AttackColumn(key="unchanged", value=lambda one: one.unchanged),
    AttackColumn(
        header="seconds",
        text=lambda one: f"{one.cell.seconds:.1f}",
        key="seconds",
        value=lambda one: one.cell.seconds,
    ),
    AttackColumn(key="collapsed", value=lambda one: one.collapsed),
    AttackColumn(key="status", value=lambda one: one.cell.status),
    AttackColumn(key="error", value=lambda one: one.cell.error),
    AttackColumn(key="id", value=lambda one: one.cell.id),
]


def _tables(results: Results) -> list[Table]:
    """One table per data set and architecture."""
    places = groupby(attacked(results), key=lambda one: one.key.order()[:2])
    tables = [
        _table(list(members), title=printable(" · ".join(place))) for place, members in places
    ]
    return tables or [table_of(COLUMNS, [], notes=[_NOTE])]


def _table(victims: list[Attacked], title: str) -> Table:
    collapsed = [f"{one.label} (seed {one.cell.seed})" for one in victims if one.collapsed]
    notes = [_NOTE]
    if collapsed:
        notes.append(
            f"no better than one answer for all images, so that the ASR says nothing of a "
            f"backdoor: {listed(collapsed)}"
        )
    return table_of(COLUMNS, victims, title=title, notes=notes)


def _objects(results: Results) -> list[Json]:
    return objects_of(COLUMNS, attacked(results))


register_view(
    View(
        name="attacks",
        summary="one row per victim, with the stealth of its trigger",
        empty="no victim is measured yet",
        tables=_tables,
        objects=_objects,
        columns=COLUMNS,
    )
)
