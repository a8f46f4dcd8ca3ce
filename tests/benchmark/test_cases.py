import json

import pytest

from pneumo_jax import errors, fields
from pneumo_jax.benchmark import cases


def test_the_grid_has_every_combination() -> None:
    groups = cases.groups(['mlp', 'cnn'], [28, 64], [8], ['float32', 'bfloat16'])
    assert len(groups) == 8
    assert len({group[0].group for group in groups}) == 8
    assert all(len(group) == 1 for group in groups)


def test_peers_and_seeds_stand_beside_one_device_of_one_process() -> None:
    (group,) = cases.groups(
        ['mlp'], [28], [8], ['float32'], devices=[1, 2], processes=[1, 2], seeds=2, peers=['torch']
    )
    assert [case.name for case in group] == [
        'ours',
        'ours, 2 devices',
        'ours, 2 processes',
        'ours, 2 devices, 2 processes',
        'ours, 2 seeds together',
        *cases.PEERS['torch'],
    ]
    assert [case.images_per_step for case in group] == [8, 16, 16, 32, 16, 8, 8, 8]


def test_a_peer_stands_beside_ours_once() -> None:
    (group,) = cases.groups(['mlp'], [28], [8], ['float32'], peers=['torch', 'compile', 'notebook'])
    assert [case.variant for case in group] == ['ours', *cases.PEERS['torch']]


def test_a_case_has_the_whole_model_of_its_page() -> None:
    ((case,),) = cases.groups(['vit'], [28], [8], ['bfloat16'])
    assert case.model == json.loads(json.dumps(case.model))
    assert case.model.keys() == {'name', 'dtype', *fields.MODELS['vit']}
    assert (case.model['width'], case.model['dtype']) == (128, 'bfloat16')  # of the 28 px form


@pytest.mark.parametrize(
    ('page', 'size', 'dtype', 'told'),
    [
        ('resnet81', 28, 'float32', "did you mean 'configs/resnet18.py'"),
        ('cnn', 29, 'float32', '28, 64, 128, 224'),
        ('cnn', 28, 'float23', "did you mean 'float32'"),
    ],
)
def test_what_cannot_be_is_refused(page: str, size: int, dtype: str, told: str) -> None:
    with pytest.raises(errors.UserError, match=told):
        cases.groups([page], [size], [8], [dtype])
