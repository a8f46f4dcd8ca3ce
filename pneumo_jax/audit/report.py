"""What was found, in Markdown that also reads as plain text."""

from collections.abc import Iterable, Sequence
from typing import Any

from pneumo_jax.audit.glance import MEANING
from pneumo_jax.audit.shift import MEASURES
from pneumo_jax.data.dataset import SPLITS
from pneumo_jax.markdown import table

Found = dict[str, Any]

KEY = """\
Mean +- standard deviation over the images of a class. d: test less val, over the root of the mean
of both variances. KS: the largest distance between both distribution functions, and its p, not
corrected for the number of tests and as if no two images were of one patient."""


def text(found: Found) -> str:
    """The printed report."""
    parts = [
        f'# Audit of {found["title"]}',
        f'## Classes\n\n{_prior(found["prior"])}',
        f'## Patients\n\n{_patients(found["patients"])}',
        f'## Duplicates\n\n{_duplicates(found["duplicates"])}',
        f'## At a glance\n\n{_glance(found["glance"])}',
        f'## From val to test: images\n\n{_images(found["images"])}',
    ]
    if found['scores']:
        parts.append(f'## From val to test: {found["score"]}\n\n{_scores(found["scores"])}')
    return '\n\n'.join((*parts, KEY)) + '\n'


def markdown(found: Found, figures: Iterable[str]) -> str:
    """The same with the first pairs of duplicates one by one, and the figures."""
    parts = [text(found).rstrip(), _listed(found['duplicates']['first'])]
    parts += [f'![{name}]({name})' for name in figures]
    return '\n\n'.join(filter(None, parts)) + '\n'


def _prior(prior: Found) -> str:
    totals = {split: sum(counts.values()) for split, counts in prior.items()}
    rows = [
        [
            name,
            *(
                f'{prior[split][name]:,} ({prior[split][name] / totals[split]:.1%})'
                for split in prior
            ),
        ]
        for name in prior[SPLITS[0]]
    ]
    return table(('class', *prior), [*rows, ['all', *(f'{n:,}' for n in totals.values())]], '>')


def _patients(found: Found | None) -> str:
    if found is None:
        return 'Not known: name them with --config.data.groups=FILE.csv (split, index, patient).'
    lines = [', '.join(f'{name} {count:,}' for name, count in found['patients'].items()) + '.']
    for names, shared in found['shared'].items():
        if not shared['patients']:
            lines.append(f'{names}: no patient in both.')
            continue
        images = ' and '.join(
            f'{count:,} of {found["images"][name]:,} {name} images'
            for name, count in shared['images'].items()
        )
        lines.append(f'{names}: {shared["patients"]:,} patients in both, with {images}.')
    if any(shared['patients'] for shared in found['shared'].values()):
        lines.append(
            "They are told apart by name: where splits are numbered anew, as Kaggle's person1 of "
            'train and of test, one name may be two children.'
        )
    return '\n'.join(f'- {line}' for line in lines)


def _duplicates(found: Found) -> str:
    heads = ['splits', *(f'{kind}{more}' for kind in ('exact', 'near') for more in ('', *MORE))]
    rows = [
        [names, *(_count(pairs[kind][key]) for kind in pairs for key in COUNTS)]
        for names, pairs in found['pairs'].items()
    ]
    highest = found['highest_of_different_patients']
    lines = [
        f'Pairs. Exact: the same bytes; {found["images_in_them"]:,} images lie in '
        f'{found["sets_of_identical"]:,} sets of identical ones.\n'
        f'Near: other bytes, and a correlation above {found["near_above"]}'
        + (
            f' (the highest of different patients is {highest:.3f}).'
            if highest is not None
            else '.'
        )
    ]
    if not found['complete']:
        lines.append('There are more pairs than were counted.')
    return '\n\n'.join((*lines, table(heads, rows, '>')))


COUNTS = ('pairs', 'other_label', 'same_patient')
MORE = (', other label', ', same patient')


def _count(value: int | None) -> str:
    return '?' if value is None else f'{value:,}'


def _listed(pairs: Sequence[Found]) -> str:
    if not pairs:
        return ''
    rows = [
        [
            *(f'{image["split"]} {image["index"]}, {image["class"]}' for image in pair['images']),
            pair['kind'],
            f'{pair["correlation"]:.3f}',
            {None: '?', True: 'yes', False: 'no'}[pair['same_patient']],
        ]
        for pair in pairs
    ]
    heads = ('image', 'and', 'kind', 'correlation', 'same patient')
    return f'## The first {len(pairs)} pairs\n\n{table(heads, rows, ">")}'


def _glance(found: Found) -> str:
    rows = [
        [name, *(f'{value:.3f}' for value in (of['auroc'], of['accuracy'], *of['recall'].values()))]
        for name, of in found.items()
    ]
    recalls = [f'recall of {name}' for name in found['test']['recall']]
    return f'{MEANING}\n\n{table(("", "AUROC", "accuracy", *recalls), rows, ">")}'


def _images(found: Found) -> str:
    rows = [
        [f'{measure}, {name}', *_shifted(of_class)]
        for measure, classes in found.items()
        for name, of_class in classes.items()
    ]
    meaning = '\n'.join(f'- {name}: {what}' for name, what in MEASURES.items())
    return f'{meaning}\n\n{table(("", *SPLITS, "d", "KS", "p"), rows, ">")}'


def _scores(found: Found) -> str:
    heads = ('run, class', *SPLITS[1:], 'above .5: val', 'test', 'd', 'KS', 'p')
    rows = []
    for run, classes in found.items():
        for name, of_class in classes.items():
            *means, d, ks, p = _shifted(of_class)
            above = [f'{split["above_half"]:.1%}' for split in of_class['splits'].values()]
            rows.append([f'{run}, {name}', *means, *above, d, ks, p])
    return table(heads, rows, '>')


def _shifted(found: Found) -> list[str]:
    """Mean and sd of every split, and the three numbers of the difference."""
    change = found['val_to_test']
    d = '-' if change['d'] is None else f'{change["d"]:+.2f}'
    means = [f'{_number(s["mean"])} +- {_number(s["sd"])}' for s in found['splits'].values()]
    return [*means, d, f'{change["ks"]:.2f}', f'{change["p"]:.1g}']


def _number(value: float) -> str:
    return f'{value:.1f}' if value >= 3 else f'{value:.3f}'
