"""Other data than a run's own: one split of a file or of a folder."""

import pathlib

import numpy as np
import pytest
from PIL import Image

from pneumo_jax.data import external, groups
from pneumo_jax.errors import UserError

CLASSES = ('Normal', 'Pneumonia')


def load(path: pathlib.Path, split: str, shape: tuple[int, int, int], classes: tuple[str, ...]):
    return external.load(path, split, shape, classes)[0]


def picture(path: pathlib.Path, grey: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 20), grey, np.uint8)).save(path)


@pytest.mark.parametrize('above', ['', 'test/'])
def test_a_folder_with_and_without_splits(tmp_path: pathlib.Path, above: str) -> None:
    picture(tmp_path / f'{above}NORMAL/a.png', 10)
    picture(tmp_path / f'{above}PNEUMONIA/b.png', 200)
    found = load(tmp_path, 'test', (12, 12, 1), CLASSES)
    assert found.labels.tolist() == [0, 1] and found.images.shape == (2, 12, 12, 1)
    assert found.images[:, 5, 5, 0].tolist() == [10, 200]


def test_a_file_needs_only_the_split_asked_for(tmp_path: pathlib.Path) -> None:
    images = np.zeros((3, 16, 16), np.uint8)
    np.savez(tmp_path / 'x.npz', val_images=images, val_labels=np.array([[0], [1], [1]]))
    found = load(tmp_path / 'x.npz', 'val', (8, 8, 1), CLASSES)
    assert found.images.shape == (3, 8, 8, 1) and found.labels.tolist() == [0, 1, 1]
    with pytest.raises(UserError, match='has no test_images, test_labels'):
        load(tmp_path / 'x.npz', 'test', (8, 8, 1), CLASSES)


def test_images_become_those_of_the_model(tmp_path: pathlib.Path) -> None:
    picture(tmp_path / 'NORMAL/a.png', 10)
    tinted = np.full((20, 20, 3), (200, 200, 205), np.uint8)
    (tmp_path / 'PNEUMONIA').mkdir()
    Image.fromarray(tinted).save(tmp_path / 'PNEUMONIA/b.png')
    found = load(tmp_path, 'test', (12, 12, 1), CLASSES)
    assert found.images[:, 5, 5].tolist() == [[10], [201]]
    found = load(tmp_path, 'test', (12, 12, 3), CLASSES)
    assert found.images[:, 5, 5].tolist() == [[10] * 3, [200, 200, 205]]
    with pytest.raises(UserError, match='this model takes 20 x 12, and only squares'):
        load(tmp_path, 'test', (12, 20, 1), CLASSES)
    wide = np.tile(np.arange(40, dtype=np.uint8), (20, 1))
    for place in ('NORMAL/a.png', 'PNEUMONIA/b.png'):
        Image.fromarray(wide).save(tmp_path / place)
    found = load(tmp_path, 'test', (20, 40, 1), CLASSES)
    np.testing.assert_array_equal(found.images[..., 0], [wide, wide])


def test_images_that_are_no_squares_are_taken_as_they_are(tmp_path: pathlib.Path) -> None:
    images = np.arange(3 * 4 * 6, dtype=np.uint8).reshape(3, 4, 6)
    np.savez(tmp_path / 'x.npz', test_images=images, test_labels=np.array([0, 1, 1]))
    found = load(tmp_path / 'x.npz', 'test', (4, 6, 1), CLASSES)
    np.testing.assert_array_equal(found.images[..., 0], images)
    with pytest.raises(UserError, match=r'image 0 of test has 6 x 4 pixels; .* takes 5 x 4'):
        load(tmp_path / 'x.npz', 'test', (4, 5, 1), CLASSES)


def test_one_class_alone_cannot_be_scored(tmp_path: pathlib.Path) -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    np.savez(tmp_path / 'x.npz', test_images=images, test_labels=np.array([4, 4]))
    with pytest.raises(UserError, match="test has images of 'e' alone; scores need two classes"):
        load(tmp_path / 'x.npz', 'test', (8, 8, 1), tuple('abcde'))


def test_classes_that_differ_in_case_alone_are_told_apart(tmp_path: pathlib.Path) -> None:
    for number, name in enumerate(('am', 'AM', 'b')):
        picture(tmp_path / f'{name}/x.png', 10 * number)
    found, given = external.load(tmp_path, 'test', (12, 12, 1), ('b', 'AM', 'am'))
    assert sorted(given) == [0, 1, 2] and given.tolist() != found.labels.tolist()
    assert sorted(zip(found.labels, found.images[:, 5, 5, 0], strict=True)) == [
        (0, 20),
        (1, 10),
        (2, 0),
    ]
    with pytest.raises(UserError, match='the classes are AM, am, b; those of the run are Am, aM'):
        load(tmp_path, 'test', (12, 12, 1), ('Am', 'aM', 'b'))


def test_a_label_of_no_class_is_refused(tmp_path: pathlib.Path) -> None:
    images = np.zeros((2, 8, 8), np.uint8)
    np.savez(tmp_path / 'x.npz', test_images=images, test_labels=np.array([0, 2]))
    with pytest.raises(UserError, match='has labels to 2, of 2 classes'):
        load(tmp_path / 'x.npz', 'test', (8, 8, 1), CLASSES)


def test_classes_are_found_by_their_names(tmp_path: pathlib.Path) -> None:
    picture(tmp_path / 'bacteria/a.png', 10)
    picture(tmp_path / 'Normal/b.png', 200)
    three = ('normal', 'virus', 'bacteria')
    found = load(tmp_path, 'test', (20, 20, 1), three)
    assert dict(zip(found.labels.tolist(), found.images[:, 0, 0, 0].tolist(), strict=True)) == {
        2: 10,
        0: 200,
    }
    images = np.zeros((2, 16, 16), np.uint8)
    given = {'test_images': images, 'test_labels': np.array([0, 1])}
    np.savez(tmp_path / 'x.npz', **given, classes=np.array(['Virus', 'NORMAL']))
    assert load(tmp_path / 'x.npz', 'test', (16, 16, 1), three).labels.tolist() == [1, 0]


def test_other_classes_are_refused(tmp_path: pathlib.Path) -> None:
    picture(tmp_path / 'healthy/a.png', 10)
    picture(tmp_path / 'sick/b.png', 200)
    with pytest.raises(UserError, match='classes are healthy, sick; those of the run are Normal'):
        load(tmp_path, 'test', (12, 12, 1), CLASSES)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='has no images'):
        load(tmp_path / 'empty', 'test', (12, 12, 1), CLASSES)


def test_columns_of_one_split(tmp_path: pathlib.Path) -> None:
    path, labels = tmp_path / 'table.csv', np.array([0, 1])
    path.write_text(
        'split,index,label,patient,kind\ntest,1,1,b,virus\ntrain,9,1,x,\ntest,0,0,a,well\n'
    )
    found = groups.columns(path, 'test', labels)
    assert found['kind'].tolist() == ['well', 'virus'] and found['patient'].tolist() == ['a', 'b']
    with pytest.raises(UserError, match='names no patient for 1 of 3 test images'):
        groups.columns(path, 'test', np.array([0, 1, 1]))
    with pytest.raises(UserError, match='line 2: the label of test 1'):
        groups.columns(path, 'test', np.array([0, 0]))
