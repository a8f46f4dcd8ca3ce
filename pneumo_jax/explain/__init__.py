"""Which pixels speak for a class, by methods that can be compared.

Every method explains the same number, the log-odds of a class (`programs.log_odds`), of one model
on the image as it is: views that a run is scored with are left out.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, UInt8

from pneumo_jax import errors, models
from pneumo_jax.explain import attention, gradcam, integrated, occlusion
from pneumo_jax.trained import Member

Maps = Float[np.ndarray, 'n h w']
Method = Callable[[Member, UInt8[np.ndarray, 'n h w c'], Int[np.ndarray, ' n']], Maps]

METHODS: dict[str, Method] = {
    'gradcam': gradcam.gradcam,
    'rollout': attention.rollout,
    'relevance': attention.relevance,
    'integrated': integrated.integrated_gradients,
    'occlusion': occlusion.occlusion,
}
ALL_MODELS = ('integrated', 'occlusion')
COLOURS = 'inferno'
STRENGTH = 0.6  # of the colours that `overlay` lays over an image


def allowed(model_name: str) -> tuple[str, ...]:
    """The methods for a model of this name, the one to take without a reason for another first."""
    own = {'mlp': (), 'vit': ('relevance', 'rollout')}
    return (*own.get(model_name, ('gradcam',)), *ALL_MODELS)


def default_method(model_name: str) -> str:
    """'gradcam' for CNNs, 'relevance' for the ViT, 'integrated' for the MLP."""
    return allowed(model_name)[0]


def name_of(member: Member) -> str:
    """The name of a member's model in `models.MODELS`."""
    return next(name for name, kind in models.MODELS.items() if type(member.model) is kind)


def heatmap(
    member: Member,
    images: UInt8[np.ndarray, 'n h w c'],
    target: int | Int[np.ndarray, ' n'],
    method: str = '',
) -> Maps:
    """Where every image speaks for class `target`, from 0 to 1, the image's largest value being 1.

    Pixels that speak against the class are 0; a map that finds nothing is 0 all over. `target` is
    one class, or one for every image; '' is the model's `default_method`.

    Raises:
        UserError: no such method for this model, or images of another shape than the model takes.
    """
    name = name_of(member)
    chosen = method or default_method(name)
    if chosen not in allowed(name):
        raise errors.unknown(f'method for {name}', chosen, allowed(name))
    maps = METHODS[chosen](member, images, np.broadcast_to(target, len(images)).astype(np.int32))
    positive = np.maximum(maps, 0)
    largest = positive.max((1, 2), keepdims=True, initial=0)
    return np.divide(positive, largest, out=np.zeros_like(positive), where=largest > 0)


def overlay(
    image: UInt8[np.ndarray, 'h w c'], heat: Float[np.ndarray, 'h w']
) -> UInt8[np.ndarray, 'h w 3']:
    """The image in gray or colour under the map in colours; where the map is 0 it is unchanged."""
    from matplotlib import colormaps

    shade = STRENGTH * heat[..., None]
    colours = 255 * colormaps[COLOURS](heat)[..., :3]
    mixed = (1 - shade) * image + shade * colours
    return np.rint(mixed).astype(np.uint8)
