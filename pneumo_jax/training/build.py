"""From a config to what trains: the plan, and the programs with their loss and augmentation."""

import functools
from collections.abc import Callable

import flax.linen as nn
import numpy as np
import optax
from ml_collections import ConfigDict

from pneumo_jax import augment, runtime
from pneumo_jax.augment import mix, views
from pneumo_jax.data import originals
from pneumo_jax.data.dataset import Split
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import initial, losses, optim
from pneumo_jax.training.plan import Plan
from pneumo_jax.training.programs import Programs, Recipe


def plan_of(config: ConfigDict, size: int) -> Plan:
    """How long `config` trains on `size` images; a batch that cannot be is a `UserError`."""
    runtime.check_batch_size('batch_size', config.batch_size, runtime.mesh().size)
    return Plan.of(size, config.batch_size, config.epochs, config.steps)


def programs(
    config: ConfigDict,
    model: nn.Module,
    preprocess: Preprocess,
    plan: Plan,
    train: Split,
    val: Split,
    say: Callable[[str], None],
) -> Programs:
    """What `config` trains with on every device; `say` is told what becomes of given weights."""
    return Programs(
        model,
        optimiser(config, plan),
        preprocess,
        plan,
        train=train,
        val=val,
        mesh=runtime.mesh(),
        seeds=range(config.seed, config.seed + config.seeds),
        eval_batch_size=config.eval_batch_size,
        recipe=recipe(config, plan, train, val, model.num_classes),
        views=views.create(config.views),
        given=functools.partial(initial.given, config, model, preprocess, say),
    )


def optimiser(config: ConfigDict, plan: Plan) -> optax.GradientTransformation:
    """What turns gradients into changes of the weights."""
    return optim.create(
        name=config.optim.name,
        lr=config.optim.lr,
        schedule=config.optim.schedule,
        warmup_steps=plan.steps_in(config.optim.warmup_epochs),
        total_steps=plan.total,
        weight_decay=config.optim.weight_decay,
        clip_norm=config.optim.clip_norm,
        layer_decay=config.optim.layer_decay,
        freeze_steps=plan.steps_in(config.finetune.freeze_epochs),
    )


def recipe(config: ConfigDict, plan: Plan, train: Split, val: Split, classes: int) -> Recipe:
    """How a step learns."""
    shrink = originals.times(train.images, val.images) or 1  # val has the size of the model
    counts = np.bincount(train.labels, minlength=classes).tolist()
    return Recipe(
        loss=losses.create(**config.loss, counts=counts),
        augment=augment.create(**config.augment, shrink=shrink),
        mix=mix.create(**config.mix),
        sam=config.optim.sam,
        fixed_norms=config.finetune.bn == 'frozen',
        ema=config.optim.ema,
        swa_from=max(1, round(config.optim.swa * plan.total)) if config.optim.swa else 0,
    )
