"""The table and the figure of a run on corrupted images."""

import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from pneumo_jax import canvas
from pneumo_jax import markdown as md
from pneumo_jax.augment import corruptions

Found = dict[str, Any]


def markdown(found: Found) -> str:
    """The report as Markdown."""
    peer = found.get('against_alexnet')
    heads = ['corruption', *map(str, corruptions.SEVERITIES), 'mean', 'relative']
    parts = [
        f'{found["run"]}: {found["images"]} test images of {found["data"]}, corrupted',
        'Balanced error in percent, at severities 1 to 5, their mean, and its growth (relative\n'
        'balanced error) against the clean images; [95 % intervals over images].',
        md.table([*heads, *(['BE', 'rBE'] if peer else [])], _rows(found, peer)),
    ]
    if peer:
        parts.append(
            'BE and rBE as in the paper: over those of AlexNet at 224 px, where 1 is as bad; -\n'
            "where AlexNet's error did not grow. What is in pixels is larger on smaller images."
        )
    return '\n\n'.join(parts) + '\n'


def _rows(found: Found, peer: Found | None) -> Iterator[list[str]]:
    blank = ['' for _ in corruptions.SEVERITIES]
    yield ['clean', *blank, _percent(found['clean']), '', *(['', ''] if peer else [])]
    for name, row in found['corruptions'].items():
        cells = [name, *(f'{100 * value:.1f}' for value in row['severities'])]
        more = [_ratio(peer['be'][name]), _ratio(peer['rbe'][name])] if peer else []
        yield [*cells, _percent(row['mean']), _percent(row['relative'], '+'), *more]
    means = [_percent(found['mean']), _percent(found['relative'], '+')]
    more = [_ratio(peer['mean_be']), _ratio(peer['mean_rbe'])] if peer else []
    yield ['**all**', *blank, *means, *more]


def _percent(estimate: list[float], sign: str = '') -> str:
    mean, low, high = (f'{100 * value:{sign}.1f}' for value in estimate)
    return f'{mean} [{low}, {high}]'


def _ratio(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f}'


def draw(found: Found, path: pathlib.Path) -> None:
    """Balanced errors as a table in colours, and their growth with intervals."""
    rows = sorted(found['corruptions'].items(), key=lambda item: item[1]['mean'][0])
    errors = 100 * np.array([row['severities'] for _, row in rows])
    figure = canvas.figure(11, 5.6, f'{found["run"]}: corrupted test images of {found["data"]}')
    left, right = figure.subplots(1, 2)
    shown = left.imshow(errors, cmap='Reds', vmin=0, vmax=60, aspect='auto', origin='lower')
    for (y, x), value in np.ndenumerate(errors):
        colour = 'white' if value > 40 else 'black'
        left.text(x, y, f'{value:.0f}', ha='center', va='center', color=colour, fontsize=9)
    left.set_yticks(range(len(rows)), [name.replace('_', ' ') for name, _ in rows])
    left.set_xticks(range(errors.shape[1]), list(map(str, corruptions.SEVERITIES)))
    left.set(xlabel='severity')
    left.set_title(f'balanced error (%); clean {100 * found["clean"][0]:.1f}', fontsize=11)
    left.spines[:].set_visible(False)
    left.tick_params(length=0)
    figure.colorbar(shown, ax=left, shrink=0.8)
    growth = 100 * np.array([row['relative'] for _, row in rows])
    mean, low, high = growth.T
    reach = np.maximum([mean - low, high - mean], 0)  # round-off may put the mean outside
    right.errorbar(mean, range(len(rows)), xerr=reach, fmt='o', capsize=3)
    right.axvline(0, color='0.6', linewidth=1)
    right.set_yticks(range(len(rows)), [])
    right.set(ylim=left.get_ylim(), xlabel='points of balanced error, mean over severities')
    right.set_title(f'growth against clean, {found["images"]} images, 95 % intervals', fontsize=11)
    canvas.plain(right)
    canvas.save(figure, path)
