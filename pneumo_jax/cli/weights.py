"""python -m pneumo_jax weights: what a file of ImageNet weights holds, and ours for timm."""

import argparse
import pathlib
from typing import Any

from pneumo_jax import doors, errors

ABOUT = """
SOURCE is a .safetensors file or the name of weights on the Hugging Face hub: print what becomes of
each of its tensors in the model of --config, for gray images and 2 classes. Or SOURCE is the folder
of a finished run: --timm writes its weights in timm's names, and prints how timm loads them.
"""
EXAMPLES = """
examples:
  python -m pneumo_jax weights timm/resnet18.tv_in1k --config configs/resnet18.py
  python -m pneumo_jax weights net.safetensors --config configs/vit.py --config.data.size=64
  python -m pneumo_jax weights runs/resnet18-28 --timm resnet18.safetensors
"""


def add(verbs: Any) -> None:
    """The verb `weights`."""
    verb = verbs.add_parser(
        'weights',
        help="what a file of ImageNet weights gives a model; a run's weights for timm",
        description=ABOUT,
        epilog=EXAMPLES,
    )
    verb.add_argument('source', metavar='SOURCE', help='a file, a name of weights, or a run folder')
    what = verb.add_mutually_exclusive_group(required=True)
    what.add_argument('--config', metavar='FILE[:FORM]', help=doors.CONFIG_HELP)
    what.add_argument(
        '--timm', type=pathlib.Path, metavar='FILE', help="write a run's weights to this file"
    )
    verb.set_defaults(door=show, parser=verb)


def show(arguments: argparse.Namespace, rest: list[str]) -> None:
    """Print what weights give a model, or write a run's."""
    if arguments.config:
        config = arguments.parser.load_config(arguments, rest)
        print(_described(arguments.source, config))
    else:
        arguments.parser.refuse(rest)
        print(_exported(pathlib.Path(arguments.source), arguments.timm))


def _described(source: str, config: Any) -> str:
    import jax
    import jax.numpy as jnp

    from pneumo_jax import models
    from pneumo_jax.data.preprocess import Preprocess
    from pneumo_jax.models import pretrained

    name = config.model.name
    pin = {field: config.pretrained[field] for field in ('revision', 'sha256')}
    expected = pretrained.expects(source, model_name=name, **pin)
    shape = Preprocess(config.data.size, config.data.size, 1, *expected.scale).fed_shape
    model = models.create(**config.model, num_classes=2)
    variables = jax.eval_shape(
        lambda key: dict(model.init(key, jnp.zeros((1, *shape)), train=False)), jax.random.key(0)
    )
    _, report = pretrained.load(
        source, model_name=name, model=model, variables=variables, image_shape=shape, **pin
    )
    mean, std = expected.scale
    return f'{report}\n  images     (x / 255 - {mean}) / {std}, by {expected.told}'


def _exported(run: pathlib.Path, path: pathlib.Path) -> str:
    from pneumo_jax import trained
    from pneumo_jax.models.pretrained import export
    from pneumo_jax.training import workdir

    if path.suffix != '.safetensors':
        raise errors.UserError(f'--timm {path} must end in .safetensors.')
    found = trained.load(run)
    if len(found.members) > 1:
        raise errors.UserError(
            f'{run} holds {len(found.members)} models; give the folder of one, such as '
            f'{workdir.members(run)[0]}.'
        )
    (member,) = found.members
    if member.preprocess.standardise:
        raise errors.UserError(f'{run} standardises every image, which timm has no field for.')
    mean, std = member.preprocess.mean, member.preprocess.std
    try:
        twin = export.save(
            path,
            model_name=found.records[0]['config']['model']['name'],
            model=member.model,
            variables=member.variables,
            image_shape=member.preprocess.fed_shape,
            mean=mean,
            std=std,
        )
    except OSError as error:
        raise errors.UserError(f'{path} cannot be written: {error.strerror}.') from error
    return f'{twin.call(path)}\n# images: (x / 255 - {mean}) / {std}'
