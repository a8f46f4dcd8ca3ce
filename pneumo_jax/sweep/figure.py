"""The rows of a study side by side: every seed a dot, their mean a line, its interval a band."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pneumo_jax import canvas
from pneumo_jax.sweep.summary import INTERVALS, Summary, recall

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BASELINE, OTHER = canvas.RED, canvas.BLUE


def draw(question: str, baseline: str, found: Sequence[Summary], path: pathlib.Path) -> None:
    """A panel for each score, a line for each row, the first row on top."""
    figure = canvas.figure(11, 1.7 + 0.34 * len(found), question)
    figure.supxlabel('dots: seeds; line: their mean; band: its 95 % interval', fontsize=8)
    panels = figure.subplots(1, len(INTERVALS), sharey=True)
    titles = ('test AUROC', 'test ACC', recall(found))
    for axes, metric, title in zip(panels, INTERVALS, titles, strict=True):
        axes.set_title(title, fontsize=10)
        _panel(axes, metric, baseline, found)
    panels[0].set_yticks(range(len(found)), [summary.row for summary in found])
    panels[0].set_ylim(len(found) - 0.4, -0.6)
    canvas.save(figure, path)


def _panel(axes: 'Axes', metric: str, baseline: str, found: Sequence[Summary]) -> None:
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.tick_params('y', length=0)
    axes.grid(axis='x', color='0.92')
    axes.set_axisbelow(True)
    for place, summary in enumerate(found):
        _row(axes, place, summary, metric, BASELINE if summary.row == baseline else OTHER)
    axes.use_sticky_edges = False  # else a band's end is the panel's
    axes.margins(x=0.08)
    axes.locator_params('x', nbins=4)


def _row(axes: 'Axes', place: int, summary: Summary, metric: str, colour: str) -> None:
    if not summary.runs:
        axes.text(0.5, place, 'not run', transform=axes.get_yaxis_transform(), fontsize=8,
                  color='0.5', ha='center', va='center')  # fmt: skip
        return
    scores = summary.scores('test', metric)
    low, high = summary.intervals[metric]
    axes.barh(place, high - low, left=low, height=0.62, color=colour, alpha=0.22, linewidth=0)
    axes.plot([scores.mean()] * 2, [place - 0.31, place + 0.31], color=colour, linewidth=2)
    shifts = [(i + 0.5) / len(scores) - 0.5 for i in range(len(scores))]  # of equal scores
    axes.plot(scores, [place + 0.4 * shift for shift in shifts], 'o', color=colour, markersize=3.5)
