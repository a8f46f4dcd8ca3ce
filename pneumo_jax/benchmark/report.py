"""The tables, in Markdown."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pneumo_jax.benchmark.cases import MEASURES, OURS
from pneumo_jax.markdown import table

Found = dict[str, Any]
MISSING = '-'


def text(found: Found) -> str:
    """`benchmark.md`: what was measured, where, and the tables that have rows."""
    rows = found['rows']
    parts = [
        '# Benchmark',
        about(found),
        speed(rows, found['settings']['measure']),
        work(rows),
        scaling(rows, found['machine']),
        seeds(rows),
        communication(rows),
        largest(found['largest_batches']),
        errors(rows),
    ]
    return '\n\n'.join(filter(None, parts)) + '\n'


def about(found: Found) -> str:
    """The machine, and how it was measured."""
    machine, settings, origin = found['machine'], found['settings'], found['origin']
    versions = ', '.join(f'{name} {version}' for name, version in origin['versions'].items())
    rates = ', '.join(
        f'{dtype} {rate / 1e9:,.0f} GFLOP/s' for dtype, rate in machine['flops_per_second'].items()
    )
    return (
        f'{origin["device"]}; {machine["processor"]}, {machine["cores"]} cores. Products of '
        f'matrices: {rates}; copying {machine["copied_bytes_per_second"] / 1e9:,.1f} GB/s. '
        f'{versions}; commit {origin["commit"]}.\n\n'
        f'Images a second: the median of {settings["repeats"]} interleaved rounds of '
        f'{settings["seconds"]:g} s, after one that is discarded, and in brackets the lowest and '
        f'the highest. Data: {settings["data"] or "noise"}.'
    )


def speed(rows: Sequence[Found], measures: Sequence[str]) -> str:
    """Rates of every case."""
    names = '\n'.join(f'- {name}: {MEASURES[name]}' for name in measures)
    heads = ['case', 'who', *measures]
    if {'step', 'epoch'} <= set(measures):
        heads.append('epoch / step')
    heads += ['train images', 'compile s', 'first step s', 'peak MB']
    cells = [
        [
            row['group'],
            row['name'],
            *(interval(row['images_per_second'].get(name)) for name in measures),
            *([number(row['epoch_over_step'], '.0%')] if 'epoch / step' in heads else []),
            number(row['train_images'], ',d'),
            number(row['worker'].get('compile_s'), ',.1f'),
            number(row['worker'].get('first_step_s'), ',.2f'),
            number(row['peak_bytes'], ',.0f', 1e-6),
        ]
        for row in rows
    ]
    return f'## Images a second\n\n{names}\n\n{table(heads, cells, "<")}' if cells else ''


def work(rows: Sequence[Found]) -> str:
    """The work of a step, and how much of what the machine can do it is done at."""
    cells = [
        [
            row['group'],
            row['name'],
            number(row['worker'].get('parameters'), ',d'),
            number(row['worker'].get('flops_per_step'), ',.2f', 1e-9),
            number(row['flops_per_second'], ',.1f', 1e-9),
            number(row['of_product_rate'], '.0%'),
        ]
        for row in rows
        if row['worker']
    ]
    heads = ['case', 'who', 'parameters', 'GFLOP a step', 'GFLOP/s', 'of the product rate']
    note = (
        'Operations as the compiler or torch count those of the program as it is written, where a '
        'convolution of ours for a CPU may have fewer (Winograd) or more: of two sides the one '
        'with more images a second is the faster. The rate of products of matrices in the same '
        'type is 100 %.'
    )
    return f'## Work of a train step\n\n{note}\n\n{table(heads, cells, "<")}' if cells else ''


def scaling(rows: Sequence[Found], machine: Found) -> str:
    """Train steps on more devices, at the same batch on each."""

    def cells(row: Found, one: Found) -> list[str]:
        gain = median(row, 'step') / median(one, 'step')
        return [
            str(row['case']['devices']),
            str(row['case']['processes']),
            interval(row['images_per_second']['step']),
            f'{gain:.2f}',
            f'{gain / (row["case"]["devices"] * row["case"]["processes"]):.0%}',
        ]

    body = [
        [row['group'], *cells(row, one)]
        for row, one in beside_one(rows, lambda case: case['devices'] * case['processes'] > 1)
    ]
    heads = ['case, batch of a device', 'devices', 'processes', 'step', 'against one', 'efficiency']
    note = (
        'Virtual devices and processes share the same cores, so that 1.00 against one is all '
        'there is to reach.'
        if machine['platform'] == 'cpu'
        else 'Devices are those of each process.'
    )
    return f'## Weak scaling\n\n{note}\n\n{table(heads, body, "<")}' if body else ''


def seeds(rows: Sequence[Found]) -> str:
    """Several seeds trained together, against one after another."""
    body = [
        [
            row['group'],
            str(row['case']['seeds']),
            interval(row['images_per_second']['step']),
            interval(one['images_per_second']['step']),
            f'{median(row, "step") / median(one, "step"):.2f}',
        ]
        for row, one in beside_one(rows, lambda case: case['seeds'] > 1)
    ]
    heads = ['case', 'seeds', 'together', 'one after another', 'gain']
    return f'## Seeds, images a second of all\n\n{table(heads, body, "<")}' if body else ''


def communication(rows: Sequence[Found]) -> str:
    """What the devices tell each other in a step."""
    body = []
    for row in rows:
        said = row['worker'].get('communication')
        if said:
            operations = said['operations']
            names = sorted({operation['operation'] for operation in operations})
            waiting = sum(not operation['asynchronous'] for operation in operations)
            body.append(
                [
                    row['group'],
                    row['name'],
                    f'{len(operations)} {", ".join(names)}',
                    *(
                        f'{said[f"{kind}_bytes"]:,}'
                        for kind in (
                            'expected_gradient',
                            'gradients',
                            'other',
                            'statistics',
                            'metrics',
                        )
                    ),
                    f'{said["bytes"]:,}',
                    f'{len(operations) - waiting} of {len(operations)}',
                ]
            )
    heads = ['case', 'who', 'operations', '4 x parameters', 'gradients', 'other forms of gradients']
    heads += ['BatchNorm', 'metrics', 'all bytes', 'asynchronous']
    return f'## Communication of a step, bytes\n\n{table(heads, body, "<")}' if body else ''


def largest(rows: Sequence[Found]) -> str:
    """The largest batches."""
    body = [
        [
            f'{row["case"]["page"]} {row["case"]["size"]} px, {row["case"]["model"]["dtype"]}',
            row['name'],
            row.get('error') or number(row['batch'], ',d'),
            number(row['memory_limit'] or None, ',.1f', 2**-30),
        ]
        for row in rows
    ]
    heads = ['case', 'who', 'largest batch', 'limit GiB']
    return f'## Largest batch, to a sixteenth\n\n{table(heads, body, "<")}' if body else ''


def errors(rows: Sequence[Found]) -> str:
    """What could not be measured."""
    body = [
        [row['group'], row['name'], what, line]
        for row in rows
        for what, line in row['errors'].items()
    ]
    heads = ['case', 'who', 'what', 'why']
    return f'## Not measured\n\n{table(heads, body, "<")}' if body else ''


def beside_one(
    rows: Sequence[Found], wanted: Callable[[Found], bool]
) -> Iterable[tuple[Found, Found]]:
    """Rows of ours that are `wanted`, each with that of one device and seed of the same group."""
    ours = [row for row in rows if row['case']['variant'] == OURS]
    ours = [row for row in ours if 'step' in row['images_per_second']]
    ones = {row['group']: row for row in ours if row['name'] == OURS}
    return [
        (row, ones[row['group']]) for row in ours if wanted(row['case']) and row['group'] in ones
    ]


def median(row: Found, what: str) -> float:
    """The middle one of a row's rates, in images a second."""
    return row['images_per_second'][what]['median']


def interval(rate: Found | None) -> str:
    """'1,204 [1,180..1,217]'."""
    if rate is None:
        return MISSING
    median, low, high = (number(rate[key], figures(rate[key])) for key in ('median', 'low', 'high'))
    return f'{median} [{low}..{high}]'


def figures(value: float) -> str:
    """The format that gives three digits or more."""
    return ',.0f' if value >= 100 else '.1f' if value >= 10 else '.2f'


def number(value: float | None, form: str, scale: float = 1) -> str:
    """`value` times `scale` as `form` has it, or a dash."""
    return MISSING if value is None else format(value * scale, form)
