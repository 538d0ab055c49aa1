"""The relapse gap against measurements before the reactivation."""

from __future__ import annotations

from remission.report.figures.canvas import Canvas
from remission.report.figures.frame import GREY, NAMED, Frame, Scale, margin, rounded
from remission.report.figures.style import Look, legend, legend_height
from remission.report.measures.explanation import Explanation

_WIDTH, _HEIGHT = 749.0, 461.0
_ACROSS, _DOWN = 3, 2
_GAP = 14.0


def explanation_figure(explanation: Explanation, look: Look) -> str:
    """Draws a panel per predictor; marks are hollow where the backdoor survived purification.

    Args:
        explanation: has at most six predictors.
        look: attack -> style.
    """
    canvas = Canvas(_WIDTH, _HEIGHT)
    legend(canvas, look, lines=False)
    top = legend_height(list(look), _WIDTH) + 4
    y = Scale.around([0.0, *(case.gap for case in explanation.cases)])
    left = margin(rounded(y.ticks(9)), "relapse gap")
    width = (_WIDTH - left - 8 - (_ACROSS - 1) * _GAP) / _ACROSS
    height = (_HEIGHT - top) / _DOWN - NAMED - 6
    for number, predictor in enumerate(explanation.predictors):
        row, column = divmod(number, _ACROSS)
        pairs = [
            (case, value)
            for case in explanation.cases
            if (value := case.values[predictor.key]) is not None
        ]
        corner = (left + column * (width + _GAP), top + row * (height + NAMED + 6))
        x = Scale.around([value for _, value in pairs])
        frame = Frame(canvas, corner, width, height, x, y)
        frame.draw_y("" if column else "relapse gap", texts=column == 0)
        frame.draw_x(predictor.title, most=5)
        canvas.line(frame.points([x.low, x.high], [0, 0]), GREY)
        for attack, style in look.items():
            for purified in (True, False):
                points = [
                    (v, c.gap) for c, v in pairs if (c.attack, c.purified) == (attack, purified)
                ]
                canvas.marks(
                    [frame.at(*pair) for pair in points],
                    style.marker,
                    style.colour,
                    fill=style.colour if purified else "white",
                    opacity=0.8,
                )
    return canvas.svg()
