"""Two runs beside each other, on the same images of the same split."""

import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from pneumo_jax import canvas, errors, files, runtime, trained
from pneumo_jax.evaluation import figures, gather, metrics, scores, statistics, tables
from pneumo_jax.evaluation.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Found = dict[str, Any]
SPLIT = 'test'
METRICS = ('auroc', 'accuracy', 'sensitivity', 'specificity')


def compare(runs: tuple[pathlib.Path, pathlib.Path], out: pathlib.Path) -> str:
    """Leave compare_OTHER.json, .md and .png in `out`, from the predictions that the runs stored.

    Raises:
        UserError: a folder holds no finished run, they differ in classes or test images, or data
            that tell the patients are not here.
    """
    loaded = [trained.load(run) for run in runs]
    labels, patients, probabilities = _read(runs, loaded)
    found = _found(runs, loaded, labels, patients, probabilities)
    name = f'compare_{files.apart(runs[1], runs[0])}'
    lines = [found['heading'], '=' * len(found['heading']), '', _about(found), '', '']
    with files.filled(out):
        _draw(found, labels, probabilities, out / f'{name}.png')
        files.write_text(out / f'{name}.md', _markdown(found, name))
        files.write_json(out / f'{name}.json', found)
    texts = '\n\n'.join(tables.as_text(table) for table in _tables(found))
    return '\n'.join(lines) + f'{texts}\n\nWith a figure: {out / name}.md'


def _read(
    runs: tuple[pathlib.Path, pathlib.Path], loaded: list[trained.Trained]
) -> tuple[Int[np.ndarray, ' n'], np.ndarray | None, Float[np.ndarray, '2 n']]:
    """The labels, whose images they are, and P(class 1) of both runs."""
    classes = [each.classes for each in loaded]
    if classes[0] != classes[1] or len(classes[0]) != 2:
        raise errors.UserError(
            f'{runs[0]} knows the classes {", ".join(classes[0])}, {runs[1]} '
            f'{", ".join(classes[1])}; compare takes two runs with the same two classes.'
        )
    logits, labels = trained.predictions(runs, SPLIT)
    patients = gather.patients(loaded[0], SPLIT, labels)
    return labels, patients, np.stack([metrics.softmax(each)[:, 1] for each in logits])


def _found(
    runs: tuple[pathlib.Path, pathlib.Path],
    loaded: list[trained.Trained],
    labels: Int[np.ndarray, ' n'],
    patients: np.ndarray | None,
    probabilities: Float[np.ndarray, '2 n'],
) -> Found:
    a, b = probabilities
    right = (probabilities > 0.5) == labels
    gap, error, p = statistics.delong(a, b, labels)
    return {
        'heading': f'{loaded[0].records[0]["data"]["title"]}, {SPLIT}: two runs',
        'images': len(labels),
        'patients': None if patients is None else len(np.unique(patients)),
        'runs': {
            side: {
                'folder': str(run),
                'title': each.title,
                'data': {name: each.records[0]['data'][name] for name in ('title', 'sha256')},
                'scores': _alone(own, labels, patients),
            }
            for side, run, each, own in zip('ab', runs, loaded, probabilities, strict=True)
        },
        'differences': {name: _difference(a, b, labels, name, patients) for name in METRICS},
        'delong': {'difference': gap, 'standard_error': error, 'p': p},
        'mcnemar': {**_disagreement(*right), 'p': statistics.mcnemar(*right)},
        'origin': runtime.provenance(),
    }


def _alone(
    own: Float[np.ndarray, ' n'], labels: Int[np.ndarray, ' n'], patients: np.ndarray | None
) -> Found:
    drawn = statistics.drawn(labels, statistics.RESAMPLES, 0, patients)
    found = scores.of_probabilities(np.stack([1 - own, own], 1), labels, drawn)
    found |= scores.of_decisions((own > 0.5).astype(int), labels, 2, drawn)
    return scores.to_json({name: found[name] for name in METRICS})


def _difference(
    a: Float[np.ndarray, ' n'],
    b: Float[np.ndarray, ' n'],
    labels: Int[np.ndarray, ' n'],
    metric: str,
    patients: np.ndarray | None,
) -> Found:
    told = statistics.paired_bootstrap(a[None], b[None], labels, metric, groups=patients)
    return dict(zip(('value', 'low', 'high', 'p'), told, strict=True))


def _disagreement(a: Bool[np.ndarray, ' n'], b: Bool[np.ndarray, ' n']) -> dict[str, int]:
    return {
        'both_right': int((a & b).sum()),
        'only_a_right': int((a & ~b).sum()),
        'only_b_right': int((b & ~a).sum()),
        'both_wrong': int((~a & ~b).sum()),
    }


def _about(found: Found) -> str:
    many = found['patients']
    units = 'images' if many is None else f'the {many:,} patients'
    sides = [f'{side}: {told["folder"]} ({told["title"]})' for side, told in found['runs'].items()]
    intervals = f'95 % intervals by {statistics.RESAMPLES:,} resamples of {units}'
    lines = [*sides, f'{found["images"]:,} images; {intervals}.']
    a, b = (told['data'] for told in found['runs'].values())
    if a['sha256'] != b['sha256']:
        lines.append(
            f'a was scored on {a["title"]}, b on {b["title"]}: these are not the same files, and '
            'are taken for the same images as they have the same labels.'
        )
    return '\n'.join(lines)


def _tables(found: Found) -> list[Table]:
    both = [told['scores'] for told in found['runs'].values()]
    rows = []
    for name, told in found['differences'].items():
        cells = [tables.cell(own[name]) for own in (*both, {name: told})]
        rows.append([tables.NAMES[name], *cells, f'{told["p"]:.4f}'])
    delong, errors_ = found['delong'], found['mcnemar']
    note = (
        f'DeLong: AUROC differs by {delong["difference"]:.4f}, standard error '
        f'{delong["standard_error"]:.4f}, p {_p(delong["p"])} (images as independent).\n'
        f'McNemar: a alone is right on {errors_["only_a_right"]} images, b alone on '
        f'{errors_["only_b_right"]}, both wrong on {errors_["both_wrong"]}; p {_p(errors_["p"])}.'
    )
    return [Table('Scores, P > .5', ['', 'a', 'b', 'a - b', 'p, bootstrap'], rows, note)]


def _p(value: float) -> str:
    return '< 0.0001' if value < 1e-4 else f'= {value:.4f}'


def _markdown(found: Found, name: str) -> str:
    about = _about(found).replace('\n', '  \n')
    parts = [f'# {found["heading"]}', about, *map(tables.as_markdown, _tables(found))]
    return '\n\n'.join([*parts, f'![ROC]({name}.png)']) + '\n'


def _draw(
    found: Found,
    labels: Int[np.ndarray, ' n'],
    probabilities: Float[np.ndarray, '2 n'],
    path: pathlib.Path,
) -> None:
    """Both ROC curves, and the points at P = .5."""
    figure = canvas.figure(5.6, 5.4, found['heading'])
    axes: Axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color='0.7', linewidth=1, linestyle=':')
    for (side, told), own, colour in zip(
        found['runs'].items(), probabilities, canvas.COLOURS, strict=False
    ):
        figures.roc_curve(axes, own, labels == 1, f'{side}: {told["title"]}', color=colour)
        point = 1 - told['scores']['specificity']['value'], told['scores']['sensitivity']['value']
        axes.plot(*point, 'o', color=colour, markeredgecolor='white', ms=9, zorder=3)
    axes.plot([], [], 'o', color='0.5', ms=8, label='P = 0.5')
    axes.set(xlabel='false positive rate (1 - specificity)', ylabel='sensitivity', aspect='equal')
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(frameon=False, loc='lower right')
    canvas.plain(axes)
    canvas.save(figure, path)
