"""The view ``attacks``: one row per victim, its backdoor and how visible its trigger is."""

from __future__ import annotations

from itertools import groupby

from remission.names import class_text
from remission.records import Cell, Json
from remission.report.groups.estimates import FAILED, MISSING
from remission.report.groups.labels import printable
from remission.report.groups.results import Results
from remission.report.groups.sentences import listed
from remission.report.measures.victims import Attacked, attacked
from remission.report.tables.columns import TableColumn, objects_of, table_of
from remission.report.tables.formats import Table
from remission.report.tables.views import View, register_view

_NOTE = (
    "rates in percent; PSNR in dB and SSIM of triggered against clean test images; largest change "
    "of a pixel in steps of 1/255; control: the same model trained without poison"
)


def percent(cell: Cell | None, measure: str) -> str:
    """Returns a rate of a cell in percent, or why there is none."""
    if cell is None:
        return MISSING
    if cell.status == "failed":
        return FAILED
    rate: float | None = getattr(cell, measure)
    return MISSING if rate is None else f"{100 * rate:.1f}"


def _controls(victim: Attacked, measure: str) -> float | None:
    return getattr(victim.control, measure) if victim.control else None


AttackColumn = TableColumn[Attacked, Attacked]
COLUMNS: list[AttackColumn] = [
    AttackColumn(key="dataset", value=lambda victim: victim.cell.dataset),
    AttackColumn(key="arch", value=lambda victim: victim.cell.arch),
    AttackColumn(key="attack", value=lambda victim: victim.cell.attack),
    AttackColumn(key="attack_params", value=lambda victim: victim.cell.attack_params),
    AttackColumn(
        header="attack",
        text=lambda victim: victim.label,
        key="label",
        value=lambda victim: victim.label,
    ),
    AttackColumn(
        header="attacker controls", text=lambda victim: ", ".join(victim.threat) or MISSING
    ),
    AttackColumn(
        header="poison rate",
        text=lambda victim: f"{100 * victim.cell.poison_rate:g} %",
        key="poison_rate",
        value=lambda victim: victim.cell.poison_rate,
    ),
    AttackColumn(
        header="target",
        text=lambda victim: class_text(victim.cell.target, victim.cell.target_name),
        key="target",
        value=lambda victim: victim.cell.target,
    ),
    AttackColumn(key="target_name", value=lambda victim: victim.cell.target_name),
    AttackColumn(
        header="setting",
        text=lambda victim: victim.setting,
        key="setting",
        value=lambda victim: victim.key.subject()["setting"],
        varies=True,
    ),
    AttackColumn(
        header="seed",
        text=lambda victim: str(victim.cell.seed),
        key="seed",
        value=lambda victim: victim.cell.seed,
    ),
    AttackColumn(key="threat", value=lambda victim: list(victim.threat)),
    AttackColumn(
        header="C-Acc",
        text=lambda victim: percent(victim.cell, "clean_acc"),
        key="clean_acc",
        value=lambda victim: victim.cell.clean_acc,
    ),
    AttackColumn(
        header="control C-Acc",
        text=lambda victim: percent(victim.control, "clean_acc"),
        key="control_clean_acc",
        value=lambda victim: _controls(victim, "clean_acc"),
    ),
    AttackColumn(
        header="ASR",
        text=lambda victim: percent(victim.cell, "asr"),
        key="asr",
        value=lambda victim: victim.cell.asr,
    ),
    AttackColumn(
        header="control ASR",
        text=lambda victim: percent(victim.control, "asr"),
        key="control_asr",
        value=lambda victim: _controls(victim, "asr"),
    ),
    AttackColumn(
        header="PSNR",
        text=lambda victim: MISSING if victim.psnr is None else f"{victim.psnr:.1f}",
        key="psnr",
        value=lambda victim: victim.psnr,
    ),
    AttackColumn(
        header="SSIM",
        text=lambda victim: MISSING if victim.ssim is None else f"{victim.ssim:.3f}",
        key="ssim",
        value=lambda victim: victim.ssim,
    ),
    AttackColumn(
        header="largest change",
        text=lambda victim: MISSING if victim.steps is None else str(victim.steps),
        key="largest_change",
        value=lambda victim: victim.largest_change,
    ),
    AttackColumn(key="compared", value=lambda victim: victim.compared),
    AttackColumn(key="unchanged", value=lambda victim: victim.unchanged),
    AttackColumn(
        header="seconds",
        text=lambda victim: f"{victim.cell.seconds:.1f}",
        key="seconds",
        value=lambda victim: victim.cell.seconds,
    ),
    AttackColumn(key="collapsed", value=lambda victim: victim.collapsed),
    AttackColumn(key="status", value=lambda victim: victim.cell.status),
    AttackColumn(key="error", value=lambda victim: victim.cell.error),
    AttackColumn(key="id", value=lambda victim: victim.cell.id),
]


def _tables(results: Results) -> list[Table]:
    """Builds one table per data set and architecture."""
    by_model = groupby(attacked(results), key=lambda victim: victim.key.order()[:2])
    tables = [
        _table(list(members), title=printable(" · ".join(model))) for model, members in by_model
    ]
    return tables or [table_of(COLUMNS, [], notes=[_NOTE])]


def _table(victims: list[Attacked], title: str) -> Table:
    collapsed = [
        f"{victim.label} (seed {victim.cell.seed})" for victim in victims if victim.collapsed
    ]
    notes = [_NOTE]
    if collapsed:
        notes.append(
            "not shown to be better than one answer for all images, so that the ASR says nothing "
            f"about a backdoor: {listed(collapsed)}"
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
