"""The page on the purification of a model of unknown origin."""

from __future__ import annotations

from remission.records.suspect import ModelReading, SuspectPurification
from remission.report.page.pictures import compare_strips
from remission.report.page.template import render_page
from remission.report.suspect.sentences import (
    percent,
    purification_headline,
    reading_lines,
    result_lines,
    suspicion_line,
)
from remission.report.tables.formats import Table

CANNOT_SEE = (
    "A trigger that the inversion did not find is neither unlearnt on purpose nor counted here: "
    "the numbers are about the inverted trigger.",
    "A purified model may relapse: a few poisoned images can bring the backdoor back although the "
    "trigger has no effect now. An audit of the purified model measures that.",
    "The numbers hold for images like those of the folder. Images of another source may be "
    "classified otherwise, before and after.",
)
"""What a purification cannot say."""


def purification_page(
    result: SuspectPurification, pictures: tuple[bytes, bytes], count: int = 8
) -> str:
    """Returns the page as HTML text: no network request, no script.

    Args:
        result: what is shown.
        pictures: strips of held-out images, clean and with the inverted trigger, as PNG files.
        count: number of images per strip.
    """
    return render_page(
        "purification.html.j2",
        headline=purification_headline(result),
        suspicion=suspicion_line(result.suspicion),
        sentences=list(result_lines(result)),
        reading=list(reading_lines(result.model)),
        results=_results(result),
        normalisations=normalisations_table(result.model),
        pictures=compare_strips(
            *pictures, count=count, other_title="triggered", title="The inverted trigger"
        ),
        cannot_see=CANNOT_SEE,
        purifier=result.purifier,
        seconds=f"{result.seconds:.0f}",
    )


def normalisations_table(model: ModelReading) -> Table | None:
    """Returns the clean accuracy under each normalisation; None where only one was tried."""
    if len(model.normalisations) < 2:
        return None
    return Table(
        header=("Normalisation", "Clean accuracy"),
        rows=[[one.name, percent(one.clean_acc)] for one in model.normalisations],
        notes=[
            "The first one is used: the most common of those within one standard error of the "
            "highest clean accuracy"
        ],
    )


def _results(result: SuspectPurification) -> Table:
    both = (("as it was", result.before), ("purified", result.after))
    return Table(
        header=("Model", "Clean accuracy", "Success of the inverted trigger"),
        rows=[[name, percent(rates.clean_acc), percent(rates.trigger)] for name, rates in both],
        kinds=["victim", "purifier"],
        notes=[
            f"On {result.before.clean_acc.total} images that neither inversion nor purification "
            f"has seen, the trigger on the {result.before.trigger.total} of other classes; with "
            "95 % Wilson intervals"
        ],
    )
