"""Image folders with real JPEG and PNG files in the layouts of Mendeley and Kaggle."""

import os
import pathlib
import shutil
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from pneumo_jax.data import folder
from pneumo_jax.data.dataset import SPLITS, Dataset
from pneumo_jax.errors import UserError

Names = Callable[[int, int], str]


def mendeley(label: int, number: int) -> str:
    kind = ('NORMAL', 'BACTERIA')[label]
    return f'{kind}-{1000000 + 1000 * label + number // 3}-{number % 3 + 1:04d}.jpeg'


def kaggle(label: int, number: int) -> str:
    if label:
        return f'person{number // 3}_{("virus", "bacteria")[number % 2]}_{number}.jpeg'
    return f'{("", "NORMAL2-")[number % 2]}IM-{number // 4:04d}-{number:04d}.jpeg'


def numbered(label: int, number: int) -> str:
    return f'{label}_{number:03d}.png'


def draw(path: pathlib.Path, level: int, *, wide: int = 40, high: int = 30) -> None:
    """A gray ramp of the given mean level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(level - 20, level + 20, wide).astype(np.uint8)
    Image.fromarray(np.tile(ramp, (high, 1))).save(path)


def build(root: pathlib.Path, names: Names, counts: dict[str, int]) -> pathlib.Path:
    for split, count in counts.items():
        for label, name in enumerate(('NORMAL', 'PNEUMONIA')):
            for number in range(count * (1 + label)):
                draw(root / split / name / names(label, number), 60 + 100 * label)
    return root


def load(root: pathlib.Path, **given: float) -> Dataset:
    options = {'size': 16, 'limit': 0, 'val_fraction': 0.2, 'seed': 0} | given
    return folder.load(root, **options)  # type: ignore[arg-type]


def test_the_three_splits(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path / 'xray', numbered, {'train': 4, 'val': 1, 'test': 2})
    found = load(root)
    assert found.title == 'xray 16 px' and found.classes == ('NORMAL', 'PNEUMONIA')
    assert [len(getattr(found, split)) for split in SPLITS] == [12, 3, 6]
    assert found.image_shape == (16, 16, 1) and found.train.images.dtype == np.uint8
    assert found.train.labels.tolist() == [0] * 4 + [1] * 8
    assert (found.train.images.mean((1, 2, 3)) > 110).tolist() == [False] * 4 + [True] * 8
    assert found.train.groups is None and found.flag is None and not found.synthetic


def test_the_order_is_that_of_the_names(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    for number, level in enumerate((200, 150, 100, 50)):
        draw(root / f'train/NORMAL/x{number}.png', level)
    means = load(root).train.images[2:6].mean((1, 2, 3))
    assert (np.diff(means) < -40).all()
    assert load(root).digest == load(root).digest


@pytest.mark.parametrize('names', [mendeley, kaggle])
def test_a_missing_val_is_cut_by_patient(tmp_path: pathlib.Path, names: Names) -> None:
    found = load(build(tmp_path, names, {'train': 30, 'test': 2}))
    train, val = found.train, found.val
    assert train.groups is not None and val.groups is not None
    assert not set(train.groups) & set(val.groups)
    assert len(train) + len(val) == 90
    for label in (0, 1):
        assert 0 < (val.labels == label).sum() <= 6 * (1 + label)


def test_the_cut_is_stratified_seeded_and_deterministic(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 10, 'test': 1})
    for number in range(10):  # pictures that can be told apart
        draw(root / f'train/NORMAL/{numbered(0, number)}', 30 + 20 * number)
    assert np.bincount(load(root).val.labels).tolist() == [2, 4]
    assert load(root).val.groups is None
    assert load(root).digest == load(root).digest
    assert len({load(root, seed=seed).digest for seed in range(4)}) > 1


def test_an_image_of_unknown_patient_stands_alone(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, mendeley, {'train': 6, 'val': 1, 'test': 1})
    for place in ('train/NORMAL', 'train/PNEUMONIA', 'test/NORMAL'):
        draw(root / place / 'zz.png', 60)
    found = load(root)
    assert found.train.groups is not None and found.test.groups is not None
    everyone = [*found.train.groups.tolist(), *found.test.groups.tolist()]
    assert sum('zz.png' in name for name in set(everyone)) == 3


@pytest.mark.parametrize('name', ['valid', 'Validation', 'VAL'])
def test_other_names_for_val_and_case(tmp_path: pathlib.Path, name: str) -> None:
    root = build(tmp_path, numbered, {'TRAIN': 2, name: 1, 'Test': 1})
    draw(root / 'TRAIN/NORMAL/big.JPG', 60)
    draw(root / 'TRAIN/NORMAL/huge.PNG', 60)
    assert [len(getattr(load(root), split)) for split in SPLITS] == [8, 3, 3]


def test_litter_is_passed_over(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    before = load(root).digest
    (root / '__MACOSX/train').mkdir(parents=True)
    for name in ('.DS_Store', 'Thumbs.db', '._0_000.png', 'notes.txt'):
        (root / 'train/NORMAL' / name).write_bytes(b'x')
    (root / 'train/.hidden').mkdir()
    (root / 'README').write_text('x')
    assert load(root).digest == before


def test_colour_in_one_image_gives_all_three_channels(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    Image.new('RGB', (20, 20), (70, 70, 70)).save(root / 'train/NORMAL/gray.png')
    assert load(root).image_shape == (16, 16, 1)
    Image.new('RGB', (20, 20), (200, 0, 0)).save(root / 'test/NORMAL/red.png')
    found = load(root)
    assert found.image_shape == found.test.images.shape[1:] == (16, 16, 3)
    assert (found.train.images == found.train.images[..., :1]).all()


def test_a_tint_is_no_colour(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    Image.new('RGB', (20, 20), (200, 200, 205)).save(root / 'train/NORMAL/tinted.png')
    found = load(root)
    assert found.image_shape == (16, 16, 1)
    assert (found.train.images[2] == 201).all()


def test_images_are_what_predict_reads_in_folders_of_folders_too(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = build(tmp_path, mendeley, {'train': 2, 'val': 1, 'test': 1})
    flat = load(root)
    assert not capsys.readouterr().err
    draw(root / 'train/NORMAL/ward 3/NORMAL-77-0001.tiff', 90)
    draw(root / 'train/NORMAL/ward 3/1.png', 110)
    draw(root / 'test/NORMAL/ward 3/1.png', 110)
    dicom = get_testdata_file('CT_small.dcm')
    assert dicom
    shutil.copy(str(dicom), root / 'train/PNEUMONIA/IM0001')
    for name in ('a\x1b.gif', 'b.gif'):
        (root / 'train/NORMAL' / name).write_bytes(b'GIF89a')
    found = load(root)
    assert capsys.readouterr().err == (
        f'{root}: no images and not used: 2, such as train/NORMAL/a?.gif\n'
    )
    assert [len(getattr(found, split)) - len(getattr(flat, split)) for split in SPLITS] == [3, 0, 1]
    assert found.train.images[2:4].mean((1, 2, 3)).round(-1).tolist() == [110, 90]
    assert found.train.groups is not None and found.test.groups is not None
    names = [*found.train.groups.tolist(), *found.test.groups.tolist()]
    assert {'train/NORMAL/ward 3/1.png', 'test/NORMAL/ward 3/1.png', '77'} <= {*names}


def test_an_image_that_shows_nothing_is_named(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    draw(root / 'train/NORMAL/dot.png', 90, wide=1, high=1)
    with pytest.raises(UserError, match=r'dot\.png has 1 x 1 pixels; at least 16 x 16'):
        load(root)


def test_limit_chooses_before_anything_is_decoded(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 4, 'val': 2, 'test': 2})
    (root / 'train/PNEUMONIA' / numbered(1, 7)).write_bytes(b'damaged')
    found = load(root, limit=4)
    assert [getattr(found, split).labels.tolist() for split in SPLITS] == [[0, 0, 1, 1]] * 3
    with pytest.raises(UserError, match='cannot be read'):
        load(root)


def test_three_classes(tmp_path: pathlib.Path) -> None:
    for split in SPLITS:
        for name in ('virus', 'bacteria', 'normal'):
            draw(tmp_path / split / name / 'a.png', 99)
    found = load(tmp_path)
    assert found.classes == ('bacteria', 'normal', 'virus')
    assert found.test.labels.tolist() == [0, 1, 2]


def test_an_unreadable_image_is_named(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, mendeley, {'train': 3, 'val': 1, 'test': 1})
    victim = root / 'train/PNEUMONIA' / mendeley(1, 2)
    victim.write_bytes(victim.read_bytes()[:-200])
    with pytest.raises(UserError, match=victim.name):
        load(root)


def test_what_is_no_file_is_named_and_not_waited_for(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    os.mkfifo(root / 'train/NORMAL/pipe.png')
    with pytest.raises(UserError, match=r'pipe\.png: is no file'):
        load(root)


def test_a_missing_test_split(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2})
    with pytest.raises(UserError, match='has no test, only train'):
        load(root)
    with pytest.raises(UserError, match='has no train and no test, only NORMAL, PNEUMONIA'):
        load(root / 'train')


def test_two_val_splits(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'valid': 1, 'test': 1})
    with pytest.raises(UserError, match='two folders for val'):
        load(root)


def test_classes_that_differ(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    shutil.rmtree(root / 'val/NORMAL')
    with pytest.raises(UserError, match='classes of val are PNEUMONIA, of train NORMAL, PNEUMONIA'):
        load(root)


def test_a_folder_needs_a_size(tmp_path: pathlib.Path) -> None:
    root = build(tmp_path, numbered, {'train': 2, 'val': 1, 'test': 1})
    with pytest.raises(UserError, match=r'data\.size=0'):
        load(root, size=0)


def test_links_out_of_the_folder_are_refused_and_links_within_followed(
    tmp_path: pathlib.Path,
) -> None:
    root = build(tmp_path / 'in', numbered, {'train': 2, 'val': 1, 'test': 1})
    (tmp_path / 'alias').symlink_to(root)
    (root / 'train/NORMAL/again.png').symlink_to(root / 'val/NORMAL' / numbered(0, 0))
    assert len(load(tmp_path / 'alias').train) == 7
    draw(tmp_path / 'in-side/a.png', 60)
    (root / 'test/NORMAL/out.png').symlink_to(tmp_path / 'in-side/a.png')
    with pytest.raises(UserError, match=r'out\.png: is a link out of'):
        load(root)
