"""What the pages share: the forms that a page is asked for behind the colon.

`configs/vit.py` is the notebook's 224 px, `configs/vit.py:28` another size of the same set (28, 64,
128 or 224), and `configs/vit.py:smoke` runs end to end in seconds, on drawn phantoms.
"""

from ml_collections import ConfigDict

SIZES = ('28', '64', '128', '224')
# Wide crops and photometric augmentation: experiments/recipe.
AUGMENT = {
    'crop': 0.15,
    'flip': True,
    'rotate': 10.0,
    'brightness': 0.45,
    'contrast': 0.45,
    'gamma': 0.5,
    'blur': 0.03,
    'noise': 0.06,
}


def form(name: str, model: str) -> ConfigDict:
    """A page for `model` in the form `name`, with the notebook's recipe."""
    config = ConfigDict({'model': {'name': model}, 'data': {}})
    if name == 'smoke':
        config.data = ConfigDict({'name': 'synthetic', 'size': 28, 'limit': 48})
        config.update({'epochs': 2, 'batch_size': 16})
    elif name in SIZES:
        config.data.size = int(name)
    else:
        raise ValueError(f'form {name!r} is not one of {", ".join(SIZES)} and smoke')
    return config
