"""What images weights were trained on: their mean, standard deviation and size."""

import dataclasses
import json
import pathlib
from typing import Any

from pneumo_jax import errors, files, weights
from pneumo_jax.models.pretrained import hub

Colour = tuple[float, float, float]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5,) * 3, (0.5,) * 3)

# ViTs were trained on several scales; parts of the names that tell which, the first that fits.
VITS = {
    'augreg': HALF,
    'dino': IMAGENET,
    'deit': IMAGENET,
    '.mae': IMAGENET,
    'vit_b_16': IMAGENET,
    'orig_in21k': HALF,
}


@dataclasses.dataclass(frozen=True)
class Expected:
    """Per colour channel the mean and standard deviation of images between 0 and 1.

    `size` is (height, width) in pixels, and `told` where all this is known from.
    """

    mean: Colour
    std: Colour
    size: tuple[int, int]
    told: str

    @property
    def gray(self) -> bool:
        """Whether all channels have one scale, so that a model of gray images loses nothing."""
        return len(set(self.mean)) == len(set(self.std)) == 1

    @property
    def scale(self) -> tuple[float, float] | tuple[Colour, Colour]:
        """(mean, std) as `Preprocess` takes them: numbers where the channels have one scale."""
        return (self.mean[0], self.std[0]) if self.gray else (self.mean, self.std)


def expected(source: str, path: pathlib.Path, model_name: str, revision: str = '') -> Expected:
    """By the file's own metadata, timm's description beside it, or its name.

    Raises:
        UserError: none of them tells, or the description is damaged.
    """
    if told := inside(path, weights.read(path, tensors=False)[1]):
        return told
    if found := hub.config(source, path, revision):
        return _read(found.read_text(encoding='utf-8'), str(found))
    name = source if pathlib.Path(source).suffix != '.safetensors' else path.stem
    if model_name != 'vit':
        return Expected(*IMAGENET, (224, 224), 'the scale of ImageNet, which all such models have')
    for part, known in VITS.items():
        if part in name.lower():
            side = 518 if 'dinov2' in name.lower() else 224
            return Expected(*known, (side, side), f'the name {name!r}')
    raise errors.UserError(
        f'{path} does not tell on what scale its images were: put the config.json of '
        f"timm's model beside it, as {path.with_suffix('.json').name}, or call the file as timm "
        'calls the weights, such as vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors.'
    )


def inside(path: pathlib.Path, metadata: dict[str, str]) -> Expected | None:
    """What a file's own metadata tell, as `export.save` writes them."""
    text = metadata.get('pretrained_cfg')
    return _read(text, str(path)) if text else None


def _read(text: str, where: str) -> Expected:
    """timm's `config.json`, or the part of it that says how the weights were trained."""
    try:
        given: dict[str, Any] = json.loads(text)
        given = given.get('pretrained_cfg', given)
        mean, std = (_colour(given[name]) for name in ('mean', 'std'))
        height, width = (int(length) for length in given['input_size'][-2:])
        return Expected(mean, std, (height, width), where)
    except (*files.DAMAGES, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise errors.UserError(
            f'{where} does not describe weights as timm does: {error!r}.'
        ) from error


def _colour(values: Any) -> Colour:
    """Three numbers; a model of gray images has one."""
    numbers = [float(value) for value in values]
    red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    return red, green, blue
