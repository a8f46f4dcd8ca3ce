"""Patients by file name, and cuts that keep them together."""

import numpy as np
import pytest

from pneumo_jax.data import splits
from pneumo_jax.data.dataset import Dataset, Split
from pneumo_jax.errors import UserError


@pytest.mark.parametrize(
    ('name', 'patient'),
    [
        ('BACTERIA-1008087-0001.jpeg', '1008087'),
        ('VIRUS-1008087-0002.jpeg', '1008087'),
        ('NORMAL-1003233-0001.jpeg', '1003233'),
        ('person1_bacteria_2.jpeg', 'person1'),
        ('person1_virus_6.jpeg', 'person1'),
        ('person1000_virus_1681.jpeg', 'person1000'),
        ('IM-0115-0001.jpeg', 'im-0115'),
        ('IM-0115-0001-0002.jpeg', 'im-0115'),
        ('NORMAL2-IM-0115-0001.jpeg', 'normal2-im-0115'),
        ('train_0001.jpeg', None),
        ('normal.png', None),
        ('personal_1.png', None),
    ],
)
def test_patient_of(name: str, patient: str | None) -> None:
    assert splits.patient_of(name) == patient


def labels_and_patients() -> tuple[np.ndarray, np.ndarray]:
    patients = np.random.default_rng(0).integers(0, 150, 400)
    return (patients % 4 > 0).astype(np.int32), patients


def test_hold_out_takes_the_fraction_of_every_class() -> None:
    labels, _ = labels_and_patients()
    held = splits.hold_out(labels, None, 0.15, seed=0)
    for label in (0, 1):
        mine = labels == label
        assert held[mine].sum() == round(0.15 * mine.sum())


def test_hold_out_never_divides_a_patient() -> None:
    labels, patients = labels_and_patients()
    held = splits.hold_out(labels, patients, 0.2, seed=3)
    assert not set(patients[held]) & set(patients[~held])
    for label in (0, 1):
        assert abs(held[labels == label].mean() - 0.2) < 0.02


def test_hold_out_depends_on_the_seed_alone() -> None:
    labels, patients = labels_and_patients()
    first, again, other = (splits.hold_out(labels, patients, 0.2, seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_hold_out_takes_at_least_one_of_a_class() -> None:
    held = splits.hold_out(np.array([0, 0, 1, 1, 1]), None, 0.01, seed=0)
    assert held.sum() == 2


@pytest.mark.parametrize('fraction', [0.0, 1.0, -0.1, float('nan')])
def test_hold_out_refuses_a_senseless_fraction(fraction: float) -> None:
    with pytest.raises(UserError, match='val_fraction'):
        splits.hold_out(np.array([0, 1]), None, fraction, seed=0)


@pytest.mark.parametrize(('patients', 'side'), [(None, 'train'), (np.zeros(2, int), 'val')])
def test_hold_out_leaves_something_on_either_side(patients: np.ndarray | None, side: str) -> None:
    with pytest.raises(UserError, match=f'no val, .*leaves {side} none: give a val split'):
        splits.hold_out(np.array([0, 1]), patients, 0.1, seed=0)


def test_first_of_each_is_balanced_while_a_class_lasts() -> None:
    labels = np.array([1, 1, 1, 1, 0, 2, 0, 1, 2, 0])
    assert splits.first_of_each(labels, 3).tolist() == [0, 4, 5]
    assert splits.first_of_each(labels, 6).tolist() == [0, 1, 4, 5, 6, 8]
    assert splits.first_of_each(labels, 9).tolist() == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert splits.first_of_each(labels, 99).tolist() == list(range(10))


def test_first_of_each_refuses_to_leave_a_class_out() -> None:
    with pytest.raises(UserError, match='at least 3'):
        splits.first_of_each(np.array([0, 1, 2]), 2)


def test_limited_keeps_images_labels_and_groups_together() -> None:
    images = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    split = Split(images, np.array([0, 0, 0, 1, 1, 1]), np.array(list('abcdef')))
    plain = Split(images, split.labels)
    few = splits.limited(Dataset('t', ('0', '1'), split, plain, split), 2)
    assert few.train.images.ravel().tolist() == [0, 3]
    assert few.train.labels.tolist() == [0, 1]
    assert few.train.groups is not None and few.train.groups.tolist() == ['a', 'd']
    assert few.val.groups is None and len(few.val) == 2


def of_patients(labels: list[int], patients: list[int], first: int) -> Split:
    """Images whose pixel is their number from `first` on."""
    pixels = np.arange(first, first + len(labels), dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Split(pixels, np.array(labels, np.int32), np.array(patients))


def test_patient_disjoint_keeps_size_and_balance_and_test() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 60, 150).tolist()
    labels = [patient % 3 // 2 for patient in ids]
    train, val = of_patients(labels[:110], ids[:110], 0), of_patients(labels[110:], ids[110:], 110)
    old = Dataset('t', ('0', '1'), train, val, val, flag='set')
    new = splits.patient_disjoint(old, seed=0)
    assert set(ids[:110]) & set(ids[110:])
    assert new.train.groups is not None and new.val.groups is not None
    assert not set(new.train.groups.tolist()) & set(new.val.groups.tolist())
    assert abs(np.bincount(new.val.labels) - np.bincount(val.labels)).max() <= 1
    assert new.test is old.test and new.flag is None and new.title == 't, patient-disjoint val'
    pixels = np.concatenate([new.train.images, new.val.images]).ravel()
    assert np.array_equal(np.sort(pixels), np.arange(150))
    for split in (new.train, new.val):  # labels and patients went with their images
        numbers = split.images.ravel()
        assert split.labels.tolist() == [labels[n] for n in numbers]
        assert split.groups is not None
        assert split.groups.tolist() == [str(ids[n]) for n in numbers]


def test_patient_disjoint_depends_on_the_seed_alone() -> None:
    train = of_patients([0, 1] * 30, list(range(60)), 0)
    old = Dataset('t', ('0', '1'), train, of_patients([0, 1] * 5, list(range(10)), 60), train)
    first, again, other = (splits.patient_disjoint(old, seed).digest for seed in (1, 1, 2))
    assert first == again != other


def test_patient_disjoint_needs_patients() -> None:
    known = of_patients([0, 1], [0, 1], 0)
    unknown = Split(known.images, known.labels)
    with pytest.raises(UserError, match='needs the patient of every image'):
        splits.patient_disjoint(Dataset('t', ('0', '1'), known, unknown, known), seed=0)


def with_looks(known: bool = True) -> Dataset:
    """Bright images are class 1, but for a patient in ten; two images of a patient."""
    patients = np.arange(400) // 2
    labels = (patients % 2).astype(np.int32)
    against = patients % 20 < 2
    noise = np.random.default_rng(0).normal(0, 10, (400, 8, 8, 1))
    pixels = (np.where(labels ^ against, 160, 90)[:, None, None, None] + noise).astype(np.uint8)
    every = Split(pixels, labels, patients if known else None)
    train, val = (splits.take(every, part) for part in (np.arange(360), np.arange(360, 400)))
    return Dataset('t', ('0', '1'), train, val, val, flag='set')


@pytest.mark.parametrize('known', [True, False])
def test_a_conflicting_val_has_those_who_look_like_the_other_class(known: bool) -> None:
    old = with_looks(known)
    new = splits.conflicting(old, seed=0)
    assert (len(new.train), len(new.val)) == (360, 40) and new.title == 't, conflicting val'
    bright = new.val.images.mean((1, 2, 3)) > 125
    assert (bright != new.val.labels).all()
    assert ((new.train.images.mean((1, 2, 3)) > 125) == new.train.labels).all()
    np.testing.assert_array_equal(np.bincount(new.val.labels), np.bincount(old.val.labels))
    assert new.test is old.test and new.flag is None
    if known:
        assert not set(np.asarray(new.train.groups)) & set(np.asarray(new.val.groups))
    assert new.digest == splits.conflicting(old, seed=0).digest


def test_a_conflicting_val_needs_some_patients_of_every_class() -> None:
    train = of_patients([0, 1] * 10, [0, 1, 2, 3, 4, 5, 6, 7] + [0] * 12, 0)
    with pytest.raises(UserError, match='fewer than 5 patients'):
        splits.conflicting(Dataset('t', ('0', '1'), train, train, train), seed=0)
