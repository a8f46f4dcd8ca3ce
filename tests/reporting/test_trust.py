"""What a report says of how far it can be trusted, of numbers that are made up."""

import pathlib
import re
import shutil
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pneumo_jax import errors
from pneumo_jax.reporting import facts, trust, words


def share(value: float | None, low: float = 0.0, high: float = 1.0, images: int = 80) -> Any:
    return {'value': value, 'low': low, 'high': high, 'images': images}


def found(held: dict[str, Any], auroc: float) -> dict[str, Any]:
    score = {'value': auroc, 'low': auroc - 0.01, 'high': auroc + 0.01}
    return {
        'conformal': {'coverage': held, 'coverage with empty sets': held},
        'scores': {'auroc': score},
        'decisions': {
            'most probable class': dict.fromkeys(('accuracy', 'sensitivity', 'specificity'), score)
        },
        'uncertainty': {'entropy': {'accuracy': {'100%': auroc, '80%': 0.995}, 'area': 0.0123}},
        'data': {'classes': {'well': 30, 'ill': 50}, 'images': 80, 'patients': None},
        'ood': {
            'refused': {
                'val': share(0.01),
                'blank': share(1.0, 0.98, 1.0, 256),
                'nothing': share(None, images=0),
            }
        },
    }


def made_up(**held: Any) -> Any:
    """A run's facts, as far as they are asked for: `held` is the coverage on test."""
    known = SimpleNamespace(
        fitted=SimpleNamespace(alpha=0.1, refused=0.01),
        loaded=SimpleNamespace(classes=('well', 'ill')),
        dataset=SimpleNamespace(synthetic=False, title='noise', image_shape=(28, 28, 1)),
        official='',
        found={'val': found(held, 0.99), 'test': found(held, 0.94)},
        seen={'val': SimpleNamespace(labels=np.zeros(4))},
        patients={'train': np.array(['a', 'b']), 'val': np.array(['b', 'c', 'b', 'd'])},
        folders=('one',),
        times_scored=(1,),
        binary=True,
        promised='90%',
    )
    known.both = lambda *path: [_inner(known.found[split], path) for split in ('val', 'test')]
    return known


def _inner(value: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@pytest.mark.parametrize(
    ('told', 'word'),
    [
        (share(0.93, 0.85, 0.97), 'is kept'),
        (share(0.9, 0.8, 0.95), 'is kept'),
        (share(0.87, 0.8, 0.92), 'is near'),
        (share(0.8, 0.7, 0.89), 'falls short'),
    ],
)
def test_a_promise_is_kept_near_or_broken(told: Any, word: str) -> None:
    known = made_up(well=told, ill=share(0.99, 0.95, 1.0))
    text = trust.promise(known)
    assert f'well {told["value"]:.1%} (' in text and f'the promise {word}; ill' in text
    broken = word == 'falls short'
    told_of = str(words.limitations(known))
    assert broken == ('Conformal sets promised for 90% of every class held well' in told_of)
    assert broken == ('they held well less often than the 90%' in str(words.forbidden(known)))


def test_a_class_that_test_lacks_promises_nothing() -> None:
    text = trust.promise(made_up(well=share(None), ill=share(0.99, 0.95, 1.0)))
    assert 'Reached on test: ill 99.0%' in text and 'well' not in text


def test_doubt_has_a_line_for_every_split() -> None:
    page = str(trust.doubt(made_up(well=share(0.9), ill=share(0.9))))
    assert '100% kept' in page and '80% kept' in page
    for split, accuracy in (('val', '0.990'), ('test', '0.940')):
        cells = ''.join(f'<td[^>]*>{cell}</td>' for cell in (accuracy, '0.995', '0.0123'))
        assert re.search(f'{split}: entropy</t.>{cells}', page)


def test_every_kind_that_is_refused_has_a_line() -> None:
    page = str(trust.refused(made_up(well=share(0.9), ill=share(0.9))))
    assert '100.0% [98.0%, 100.0%]' in page and 'blank' in page and '256' in page
    assert re.search(r'nothing</t.><td[^>]*>-</td><td[^>]*>0</td>', page)
    assert 'Stated rate of false alarms: 1.0%' in page


def test_what_val_flatters_and_shared_patients_are_told() -> None:
    text = ' '.join(words.limitations(made_up(well=share(0.9), ill=share(0.9))))
    assert 'Val flatters: AUROC 0.990 on val, 0.940 on test' in text
    assert '2 of the 4 val images are of a patient who is in train' in text
    for split in ('train', 'val'):
        unknown = made_up(well=share(0.9), ill=share(0.9))
        unknown.patients[split] = None
        assert 'in train as well' not in str(words.limitations(unknown))
    assert 'One training run' in text and 'Test has 30 images of its rarest class' in text


def test_what_a_run_is_decides_what_is_told_of_it() -> None:
    known = made_up(well=share(0.9), ill=share(0.9))
    assert 'drawn phantoms' not in str(words.limitations(known))
    assert 'Adults, infants' not in str(words.forbidden(known))
    assert 'bootstrap of images; n = 80 images). The run has scored test once' in words.verdict(
        known
    )
    known.folders, known.times_scored, known.dataset.synthetic = ('one', 'two'), (1, 3), True
    known.official, known.found['test']['data']['patients'] = 'pneumoniamnist', 30
    assert 'drawn phantoms' in str(words.limitations(known))
    assert 'One training run' not in str(words.limitations(known))
    assert 'Adults, infants' in str(words.forbidden(known))
    assert 'bootstrap of patients; n = 80 images of 30 patients)' in words.verdict(known)
    assert words.verdict(known).endswith('run by run: 1, 3.')


@pytest.mark.parametrize('other', ['labels', 'logits', 'images'])
def test_predictions_of_other_data_are_refused(
    other: str, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    shutil.copytree(folder / 'one', tmp_path / 'one')
    path = tmp_path / 'one/predictions_test.npz'
    with np.load(path) as own, np.load(folder / 'classes/predictions_test.npz') as foreign:
        changed = {
            'labels': {**own, 'labels': 1 - own['labels']},
            'logits': {**own, 'logits': own['logits'][:, [0, 1, 1]]},
            'images': {**foreign},
        }[other]
    np.savez(path, **changed)
    with pytest.raises(errors.UserError, match=r'predictions_test\.npz is not of the test images'):
        facts.gather_facts([tmp_path / 'one'], tmp_path / 'out')
