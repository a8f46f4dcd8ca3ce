import copy
import dataclasses
import pathlib
from typing import Any

import pytest

from pneumo_jax.benchmark import cases, figure, report, results, rounds

MACHINE = {
    'platform': 'cpu',
    'processor': 'a processor',
    'cores': 2,
    'flops_per_second': {'float32': 2e11, 'bfloat16': 1e11},
    'copied_bytes_per_second': 1e10,
}
COMMUNICATION = {
    'operations': [
        {'operation': 'all-reduce', 'asynchronous': True, 'arrays': 2, 'bytes': 4008},
        {'operation': 'all-reduce', 'asynchronous': True, 'arrays': 1, 'bytes': 90},
        {'operation': 'all-reduce', 'asynchronous': False, 'arrays': 1, 'bytes': 12},
    ],
    'bytes': 4110,
    'expected_gradient_bytes': 4100,
    'gradients_missing': 0,
    'gradients_bytes': 4000,
    'statistics_bytes': 12,
    'metrics_bytes': 8,
    'other_bytes': 90,
}


def row(case: cases.Case, rate: float) -> dict[str, Any]:
    worker = {'compile_s': 1.5, 'first_step_s': 0.25, 'parameters': 1000, 'flops_per_step': 1e9}
    if case.mesh_size > 1:
        worker['communication'] = COMMUNICATION  # type: ignore[assignment]
    rates = rounds.summary([rate * 0.9, rate, rate * 1.2])
    measures = ('step',) if case.seeds > 1 else ('step', 'epoch')
    return results.derive(
        {
            'group': case.group,
            'name': case.name,
            'case': vars(case),
            'train_images': 4708,
            'worker': worker,
            'images_per_second': dict.fromkeys(measures, rates),
            'peak_bytes': 300_000_000,
            'errors': {},
        },
        MACHINE,
    )


@pytest.fixture
def found() -> dict[str, Any]:
    (group,) = cases.groups(
        ['mlp'], [28], [100], ['float32'], devices=[1, 2], seeds=4, peers=['torch']
    )
    rows = [row(case, rate) for case, rate in zip(group, (1000, 1500, 4000, 500, 50), strict=False)]
    lost = copy.deepcopy(rows[-1]) | {'name': 'torch notebook', 'errors': {'start': 'a|b'}}
    lost |= {'worker': {}, 'images_per_second': {}, 'peak_bytes': None, 'flops_per_second': None}
    lost |= {'of_product_rate': None, 'epoch_over_step': None}
    return {
        'origin': {'device': '2 x x', 'versions': {'jax': '1.2'}, 'commit': 'abc'},
        'settings': {'measure': ['step', 'epoch'], 'repeats': 3, 'seconds': 1.0, 'data': ''},
        'machine': MACHINE,
        'rows': [*rows, lost],
        'largest_batches': [
            {'name': 'ours', 'case': vars(group[0]), 'memory_limit': 2**30, 'batch': 4096},
            {'name': 'torch eager', 'case': vars(group[0]), 'memory_limit': 0, 'error': 'no'},
        ],
    }


def cells(text: str, section: str, *start: str) -> list[str]:
    """The cells of the row of a section's table that has all of `start`."""
    lines = text.split(f'## {section}')[1].split('\n## ')[0].splitlines()
    rows = [[cell.strip() for cell in line.strip('|').split(' | ')] for line in lines]
    return next(row for row in rows if set(start) <= set(row))


def test_the_tables_say_what_was_measured(found: dict[str, Any]) -> None:
    text = report.text(found)
    assert cells(text, 'Images a second', 'ours')[2:] == [
        *('1,000 [900..1,200]', '1,000 [900..1,200]', '100%'),
        *('4,708', '1.5', '0.25', '300'),
    ]
    # 1e9 operations for 100 images, at 1000 images/s, on a machine of 2e11 operations/s
    assert cells(text, 'Work', 'ours')[2:] == ['1,000', '1.00', '10.0', '5%']
    assert cells(text, 'Weak', '2')[1:] == ['2', '1', '1,500 [1,350..1,800]', '1.50', '75%']
    assert cells(text, 'Seeds', '4')[-1] == '4.00'
    assert cells(text, 'Communication', 'ours, 2 devices')[2:] == [
        *('3 all-reduce', '4,100', '4,000', '90', '12', '8', '4,110', '2 of 3')
    ]
    assert cells(text, 'Largest', 'ours')[2:] == ['4,096', '1.0']
    assert cells(text, 'Largest', 'torch eager')[2:] == ['no', '-']
    assert cells(text, 'Not measured', 'torch notebook')[2:] == ['start', 'a\\|b']


def test_the_head_says_what_the_machine_reaches(found: dict[str, Any]) -> None:
    head = report.about(found)
    assert head.startswith('2 x x; a processor, 2 cores. Products of matrices: float32 200 GFLOP/s')
    assert ', bfloat16 100 GFLOP/s; copying 10.0 GB/s. jax 1.2; commit abc.' in head
    assert head.endswith(
        'median of 3 interleaved rounds of 1 s, after one that is discarded, and '
        'in brackets the lowest and the highest. Data: noise.'
    )
    found['settings']['data'] = 'x.npz'
    assert report.about(found).endswith('Data: x.npz.')


def test_scaling_counts_the_devices_of_all_processes(found: dict[str, Any]) -> None:
    one = found['rows'][0]
    case = cases.Case(**one['case'])
    more = [
        row(dataclasses.replace(case, devices=devices, processes=processes), rate)
        for devices, processes, rate in ((1, 2, 1500), (2, 2, 3000))
    ]
    text = report.scaling([one, *more], {'platform': 'gpu'})
    lines = text.splitlines()[-2:]
    ends = [[cell.strip() for cell in line.strip('|').split('|')][1:] for line in lines]
    assert ends == [
        ['1', '2', '1,500 [1,350..1,800]', '1.50', '75%'],
        ['2', '2', '3,000 [2,700..3,600]', '3.00', '75%'],
    ]
    assert 'Devices are those of each process.' in text
    assert 'share the same cores' in report.scaling([one, *more], {'platform': 'cpu'})


def test_two_seeds_together_are_put_beside_one(found: dict[str, Any]) -> None:
    one = found['rows'][0]
    two = row(dataclasses.replace(cases.Case(**one['case']), seeds=2), 1250)
    assert report.seeds([one, two]).splitlines()[-1].strip('| ').endswith('| 1.25')
    assert not report.seeds([one])


@pytest.mark.parametrize(
    ('value', 'text'),
    [(1234.5, '1,234'), (100, '100'), (99.96, '100.0'), (10, '10.0'), (9.5, '9.50')],
)
def test_rates_have_three_digits(value: float, text: str) -> None:
    assert format(value, report.figures(value)) == text


def test_tables_without_rows_are_left_out(found: dict[str, Any]) -> None:
    found |= {'rows': found['rows'][:1], 'largest_batches': []}
    heads = [line for line in report.text(found).splitlines() if line.startswith('## ')]
    assert heads == ['## Images a second', '## Work of a train step']
    assert 'epoch / step' in report.speed(found['rows'], ['step', 'epoch'])
    assert 'epoch / step' not in report.speed(found['rows'], ['step'])
    found['rows'] = []
    assert '## ' not in report.text(found)


def test_the_figure_is_drawn_with_and_without_bars(
    found: dict[str, Any], tmp_path: pathlib.Path
) -> None:
    for name, rows in (('all', found['rows']), ('none', [])):
        figure.draw(found | {'rows': rows}, tmp_path / f'{name}.png')
        assert (tmp_path / f'{name}.png').read_bytes().startswith(b'\x89PNG')
    assert len(list(tmp_path.iterdir())) == 2


def test_blocks_stand_apart() -> None:
    rows = [{'group': name} for name in ('a', 'a', 'b', 'b')]
    assert figure.layout(rows) == [2, 3, 5, 6]
