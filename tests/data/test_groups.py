"""Tables that name the patient of every image, and what they are good for."""

import collections
import csv
import hashlib
import pathlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import data
from pneumo_jax.data import groups
from pneumo_jax.data.dataset import SPLITS, Dataset, Split
from pneumo_jax.errors import UserError

LABELS = {'train': np.array([0, 1, 1]), 'val': np.array([1, 0]), 'test': np.array([0])}
ROWS = """\
split,index,label,patient,kind
test,0,0,t,normal
val,1,0,007,normal
val,0,1,b,virus
train,0,0,a,normal
train,2,1,"c, d",virus
train,1,1,b,virus
"""


def write(path: pathlib.Path, text: str) -> pathlib.Path:
    (path / 'patients.csv').write_text(text, encoding='utf-8')
    return path / 'patients.csv'


def test_patients_come_in_the_order_of_the_images(tmp_path: pathlib.Path) -> None:
    for text in (ROWS, f'\ufeff{ROWS}', ROWS.replace('\n', '\r\n')):
        found = groups.read(write(tmp_path, text), LABELS)
        expected = {'train': ['a', 'b', 'c, d'], 'val': ['b', '007'], 'test': ['t']}
        assert {split: names.tolist() for split, names in found.items()} == expected


def test_a_table_without_labels(tmp_path: pathlib.Path) -> None:
    text = 'patient,split,index\n' + ''.join(
        f'p{i},{split},{i}\n' for split, labels in LABELS.items() for i in range(len(labels))
    )
    assert groups.read(write(tmp_path, text), LABELS)['val'].tolist() == ['p0', 'p1']


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('train,2,1,"c, d",virus\n', '', r'1 of 3 train images: index 2\.'),
        ('val,0,1', 'val,1,1', 'line 4: .*the label of val 1'),
        ('val,0,1', 'val,1,0', 'line 4: val 1 is named a second time'),
        ('train,0,0', 'train,0,1', "line 5: the label of train 0 is '1', that of the image 0"),
        ('train,0,0', 'train,0,', "line 5: the label of train 0 is ''"),
        ('train,2', 'train,3', "line 6: the index is '3'; train has the images 0 to 2"),
        ('train,2', 'train,-1', "the index is '-1'"),
        ('train,2', 'train,two', "the index is 'two'"),
        ('train,2', 'train,0000000000000000002', 'the index is'),
        ('test,0', 'tset,0', "line 2: the split is 'tset', not one of train, val, test"),
        ('test,0,0,t', 'test,0,0,', 'line 2: test 0 has no patient'),
        ('test,0,0,t,normal', 'test', "line 2: the index is ''"),
        ('index', 'number', 'the columns are split, number, label.*needed: split, index, patient'),
        ('virus\ntrain', 'v\x80' + 'x' * 200_000 + '\ntrain', 'damaged, or not a csv file'),
    ],
)
def test_a_table_that_does_not_fit(
    tmp_path: pathlib.Path, old: str, new: str, message: str
) -> None:
    assert old in ROWS
    with pytest.raises(UserError, match=message):
        groups.read(write(tmp_path, ROWS.replace(old, new)), LABELS)


def test_every_column_of_a_split(tmp_path: pathlib.Path) -> None:
    told = groups.columns(write(tmp_path, ROWS.rstrip('\n') + ',more\n'), 'val', LABELS['val'])
    assert len(told['patient']) == 2 and set(told) == set(ROWS.split('\n')[0].split(','))
    twice = ROWS.replace('val,0,1', 'val,1,0')
    with pytest.raises(UserError, match='line 4: val 1 is named a second time'):
        groups.columns(write(tmp_path, twice), 'val', LABELS['val'])


def test_files_that_are_no_tables(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match='cannot be read: No such file'):
        groups.read(tmp_path / 'absent.csv', LABELS)
    with pytest.raises(UserError, match='cannot be read: Is a directory'):
        groups.read(tmp_path, LABELS)
    with pytest.raises(UserError, match='the columns are none'):
        groups.read(write(tmp_path, ''), LABELS)
    (tmp_path / 'binary.csv').write_bytes(b'\x89PNG\xff\xfe')
    with pytest.raises(UserError, match='damaged, or not a csv file in UTF-8'):
        groups.read(tmp_path / 'binary.csv', LABELS)
    monkeypatch.setattr(groups, 'LARGEST', 10)
    with pytest.raises(UserError, match='is larger than'):
        groups.read(write(tmp_path, ROWS), LABELS)


def patients(split: Split) -> set[str]:
    assert split.groups is not None
    return set(split.groups.tolist())


def images_and_patients(dataset: Dataset) -> list[tuple[np.ndarray, str]]:
    splits = (dataset.train, dataset.val)
    return [
        pair
        for split in splits
        for pair in zip(split.images, np.asarray(split.groups).tolist(), strict=True)
    ]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Ten images of every class and split, whose names tell a patient each."""
    for split in SPLITS:
        for label, name in enumerate(('NORMAL', 'PNEUMONIA')):
            for number in range(10):
                path = tmp_path / split / name / f'person{10 * label + number}_{split}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new('L', (8, 8), 100 * label + number).save(path)
    return tmp_path


def table(path: pathlib.Path, sharing: int) -> str:
    """Patients of `sharing` neighbouring images each, the same numbers in train and val."""
    lines = [f'{split},{i},{split == "test"}-{i // sharing}' for split in SPLITS for i in range(20)]
    return str(write(path, 'split,index,patient\n' + '\n'.join(lines) + '\n'))


def test_a_table_replaces_the_names_of_files_before_the_limit(folder: pathlib.Path) -> None:
    path = table(folder, 2)
    plain = data.load(name='', size=8, path=str(folder), limit=4)
    found = data.load(name='', size=8, path=str(folder), limit=4, groups=path)
    assert found.digest == plain.digest
    assert plain.train.groups is not None and found.train.groups is not None
    assert plain.train.groups.tolist() == ['person0', 'person1', 'person10', 'person11']
    assert found.train.groups.tolist() == ['False-0', 'False-0', 'False-5', 'False-5']


def test_a_val_of_other_patients(folder: pathlib.Path) -> None:
    path = table(folder, 2)
    old = data.load(name='', size=8, path=str(folder), groups=path)
    new = data.load(name='', size=8, path=str(folder), groups=path, val='patients')
    assert patients(old.train) & patients(old.val)
    assert not patients(new.train) & patients(new.val)
    assert new.title == f'{old.title}, patient-disjoint val'
    assert np.array_equal(new.test.images, old.test.images)
    every = [np.concatenate([d.train.images, d.val.images]).ravel() for d in (old, new)]
    assert np.array_equal(*map(np.sort, every))


def test_what_a_new_val_needs(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), np.uint8)
    content: dict[str, Any] = {f'{split}_images': images for split in SPLITS}
    content |= {f'{split}_labels': np.array([0, 1, 0, 1]) for split in SPLITS}
    np.savez(tmp_path / 'set.npz', **content)
    with pytest.raises(UserError, match=r"val='patients' needs the patient .* data\.groups=FILE"):
        data.load(name='', size=0, path=str(tmp_path / 'set.npz'), val='patients')
    with pytest.raises(UserError, match=r"unknown data\.val 'patient': did you mean 'patients'"):
        data.load(name='synthetic', size=16, val='patient')
    with pytest.raises(UserError, match='a class has too few patients'):
        data.load(name='', size=8, path=str(folder), groups=table(folder, 10), val='patients')


def test_the_official_val_leaks_and_the_new_one_does_not(real_data: pathlib.Path) -> None:
    path = real_data / 'pneumoniamnist_patients.csv'
    if not path.exists():
        pytest.skip(f'no {path.name} in {real_data}')
    with path.open(newline='') as file:
        rows = list(csv.DictReader(file))
    of_split = collections.defaultdict(list)
    for row in rows:
        of_split[row['split']].append(row['patient'])
    old = data.load(name='pneumoniamnist', size=28, groups=str(path))
    for split in SPLITS:
        assert getattr(old, split).groups.tolist() == of_split[split]
    new = data.load(name='pneumoniamnist', size=28, groups=str(path), val='patients')
    train, val, test = (patients(getattr(new, split)) for split in SPLITS)
    assert not train & val and not test & (train | val)
    assert new.flag is None and old.flag == 'pneumoniamnist'
    assert abs(np.bincount(new.val.labels) - np.bincount(old.val.labels)).max() <= 2
    assert len(new.train) + len(new.val) == len(old.train) + len(old.val)
    digests = [hashlib.sha256(d.test.images.tobytes()).digest() for d in (old, new)]
    assert digests[0] == digests[1]
    again = data.load(name='pneumoniamnist', size=28, groups=str(path), val='patients')
    other = data.load(name='pneumoniamnist', size=28, groups=str(path), val='patients', seed=1)
    assert again.digest == new.digest != other.digest
    # Every picture still has its own patient. (Identical ones are of one patient each.)
    told = {bytes(image): patient for image, patient in images_and_patients(old)}
    assert all(told[bytes(image)] == patient for image, patient in images_and_patients(new))
