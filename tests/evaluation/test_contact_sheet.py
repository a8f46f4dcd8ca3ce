import warnings

import numpy as np
import pytest
from PIL import Image

from pneumo_jax import canvas
from pneumo_jax.evaluation import contact_sheet


@pytest.fixture
def drawn(monkeypatch):
    """The figures as matplotlib objects, in the order they were saved."""
    kept = []
    save = canvas.save
    monkeypatch.setattr(canvas, 'save', lambda fig, path: (kept.append(fig), save(fig, path)))
    return kept


@pytest.mark.parametrize('channels', [1, 3])
def test_each_row_is_an_original_and_its_variants(tmp_path, drawn, channels):
    images = np.arange(3, dtype=np.uint8)[:, None, None, None] * 51 + np.zeros(
        (28, 28, channels), np.uint8
    )
    variants = images[:, None] / 255 + np.arange(4)[:, None, None, None] / 10
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        contact_sheet.draw(images, variants, 'Synthetic data 28 px', tmp_path / 'sheet.png')
    with Image.open(tmp_path / 'sheet.png') as sheet:
        assert sheet.format == 'PNG'
        assert sheet.width > sheet.height > 300
    assert list(tmp_path.iterdir()) == [tmp_path / 'sheet.png']
    assert drawn[0].get_suptitle() == 'Synthetic data 28 px'
    axes = drawn[0].axes
    assert [one.get_title() for one in axes] == ['original', 'augmented'] + [''] * 13
    values = np.array([one.images[0].get_array().flat[0] for one in axes]).reshape(3, 5)
    expected = np.arange(3)[:, None] / 5 + np.array([0, 0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(values, expected)
    assert {one.images[0].get_clim() for one in axes} == {(0, 1)}
