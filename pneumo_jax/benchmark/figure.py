"""The rates as bars: a panel for each measure, a block of bars for each case."""

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pneumo_jax import canvas
from pneumo_jax.benchmark import report

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Found = dict[str, Any]

COLOURS = (*canvas.COLOURS, '#999999')  # ours is the first
LOG_FROM = 20  # times between the lowest and the highest rate of a panel


def draw(found: Found, path: pathlib.Path) -> None:
    """Bars of images a second; whiskers from the lowest to the highest round."""
    rows = [row for row in found['rows'] if row['images_per_second']]
    measures = found['settings']['measure']
    places = layout(rows)
    title = (
        f'Images a second, {found["origin"]["device"]}; in brackets: of the rate of matrix products'
    )
    height = 1.4 + 0.26 * (max(places, default=0) + 1)
    figure = canvas.figure(2.6 + 2.9 * len(measures), height, title)
    panels = figure.subplots(1, len(measures), sharey=True, squeeze=False)[0]
    names = list(dict.fromkeys(row['name'] for row in rows))
    for axes, measure in zip(panels, measures, strict=True):
        bars(axes, rows, places, names, measure)
    panels[0].set_yticks(places, [row['name'] for row in rows])
    panels[0].set_ylim(max(places, default=2.0) + 0.7, 0.5)
    headings(panels[0], rows, places)
    canvas.save(figure, path)


def layout(rows: Sequence[Found]) -> list[float]:
    """Where each bar stands: one below the other, two lower where a new block begins."""
    places: list[float] = []
    for before, row in zip([None, *rows], rows, strict=False):
        new = before is None or before['group'] != row['group']
        places.append((places[-1] if places else 0.0) + (2.0 if new else 1.0))
    return places


def bars(
    axes: 'Axes', rows: Sequence[Found], places: Sequence[float], names: Sequence[str], measure: str
) -> None:
    """One panel."""
    from matplotlib.ticker import EngFormatter, MaxNLocator

    shown = [
        (place, row, row['images_per_second'][measure])
        for place, row in zip(places, rows, strict=True)
        if measure in row['images_per_second']
    ]
    axes.set_title(measure, fontsize=11)
    axes.xaxis.set_major_formatter(EngFormatter(sep=''))
    axes.spines[['top', 'right', 'left']].set_visible(False)
    axes.tick_params('y', length=0)
    axes.grid(axis='x', color='0.92')
    axes.set_axisbelow(True)
    if not shown:
        return
    medians = [rate['median'] for _, _, rate in shown]
    axes.barh(
        [place for place, _, _ in shown],
        medians,
        xerr=[
            [rate['median'] - rate['low'] for _, _, rate in shown],
            [rate['high'] - rate['median'] for _, _, rate in shown],
        ],
        color=[COLOURS[names.index(row['name']) % len(COLOURS)] for _, row, _ in shown],
        height=0.8,
        error_kw={'elinewidth': 1, 'capsize': 2, 'ecolor': '0.25'},
    )
    log = max(medians) > LOG_FROM * min(medians)
    if log:
        axes.set_xscale('log')
        axes.set_xlim(min(medians) / 3, max(medians) * 30)
    else:
        axes.set_xlim(0, max(rate['high'] for _, _, rate in shown) * 1.8)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    for place, row, rate in shown:
        label = report.number(rate['median'], report.figures(rate['median']))
        share = row['of_product_rate'] if measure == 'step' else None
        label += f'  ({share:.0%})' if share is not None else ''
        axes.annotate(label, (rate['high'], place), (4, 0), textcoords='offset points',
                      va='center', fontsize=7.5)  # fmt: skip


def headings(axes: 'Axes', rows: Sequence[Found], places: Sequence[float]) -> None:
    """The name of a block above its first bar, from the left edge on."""
    seen = set()
    for place, row in zip(places, rows, strict=True):
        if row['group'] not in seen:
            seen.add(row['group'])
            axes.text(
                *(0.01, place - 0.95, row['group']),
                transform=axes.get_yaxis_transform(),
                va='center',
                fontsize=8.5,
                fontweight='bold',
            )
