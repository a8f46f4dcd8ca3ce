"""One case, built and compiled as training does it, and its parts as things to repeat."""

import functools
import importlib.metadata
import pathlib
import resource
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pneumo_jax import data, errors, forms, models, runtime
from pneumo_jax.benchmark import hlo
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.data import order
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import optim, seeds, steps

PACKAGES = ('jax', 'jaxlib', 'flax', 'optax')
# The notebook's optimiser, which the peers have too.
ADAM = {'name': 'adam', 'lr': 1e-3, 'schedule': 'constant', 'weight_decay': 0.0, 'clip_norm': 0.0}


class Workload:
    """The train step of `case`, past its first call. Its methods start one more of something.

    `ready` says what that took. A machine with other devices than the case's is a `UserError`.
    """

    def __init__(self, case: Case) -> None:
        self.case, self.mesh = case, runtime.mesh()
        if self.mesh.size != case.mesh_size:
            raise errors.UserError(
                f'{case.mesh_size} devices are to be measured, and jax finds {self.mesh.size}.'
            )
        self.model = models.create(**case.model, num_classes=case.classes)
        self.preprocess = Preprocess(case.size, case.size, case.channels)
        everywhere = runtime.replicated(self.mesh)
        tx = optim.create(**ADAM, warmup_steps=0, total_steps=1)  # type: ignore[arg-type]
        init = steps.make_init(self.model, tx, self.preprocess.image_shape)
        self.pure_step = steps.make_train_step(self.model, tx, self.preprocess)
        self.jit = functools.partial(runtime.jit, out_shardings=everywhere, donate_argnums=0)
        self.predict = runtime.jit(
            steps.make_predict(self.model, self.preprocess), out_shardings=everywhere
        )
        self.scale = runtime.jit(self.preprocess)
        self.gather = runtime.jit(lambda images, chosen: self.preprocess(images[chosen]))
        first = runtime.jit(init, out_shardings=everywhere)
        self.state = self._of(lambda seed: first(runtime.key(seed, 'init')))
        self.key = self._of(lambda seed: runtime.key(seed, 'train'))
        self.batch = self._of(lambda seed: runtime.shard(self._drawn_batch(seed), self.mesh))
        self.read = 0  # batches, by `input`
        self.ready = self._compile()

    def step(self) -> Any:
        """A train step; like the others, it returns what to wait for."""
        self.state, metrics = self.step_program(self.state, self.batch, self.key)
        return metrics

    def forward(self) -> Any:
        """Logits of the batch."""
        return self.predict(self.state.scored, self.batch['image'])

    def input(self) -> Any:
        """The next batch of the data set, scaled; images that fit stay on the devices."""
        images = self.dataset.train.images
        chosen = order.indices(0, self.read, len(images), self.case.images_per_step)
        self.read += 1
        if self.resident is None:
            return self.scale(runtime.shard(images[chosen], self.mesh))
        return self.gather(self.resident, runtime.shard(chosen, self.mesh))

    @functools.cached_property
    def dataset(self) -> Dataset:
        """What the case's file holds."""
        return data.load(name='', size=self.case.size, path=self.case.data)

    @functools.cached_property
    def resident(self) -> jax.Array | None:
        """The training images, whole on every device, where they fit."""
        images = self.dataset.train.images
        return runtime.replicate(images, self.mesh) if runtime.fits(images.nbytes) else None

    def peak_bytes(self) -> int:
        """The most memory used so far: of a device, or on a CPU of this process."""
        stats = self.mesh.local_devices[0].memory_stats()
        return stats['peak_bytes_in_use'] if stats else peak_resident_bytes()

    def _of(self, make: Callable[[int], Any]) -> Any:
        """What seed 0 has, or a tuple of what each of several has."""
        each = tuple(make(seed) for seed in range(self.case.seeds))
        return each if self.case.seeds > 1 else each[0]

    def _drawn_batch(self, seed: int) -> steps.Batch:
        case, rng = self.case, np.random.default_rng(seed)
        count = case.batch * case.mesh_size
        return {
            'image': rng.integers(0, 256, (count, *self.preprocess.image_shape), np.uint8),
            'label': rng.integers(0, case.classes, count, np.int32),
        }

    def _compile(self) -> dict[str, Any]:
        """Compile the step and take the first one; what a worker says of itself."""
        given = self.state, self.batch, self.key
        several = self.case.seeds > 1
        first = tuple(of[0] for of in given) if several else given
        parameters, statistics = (
            [leaf.size for leaf in jax.tree.leaves(tree)]
            for tree in (first[0].params, first[0].batch_stats)
        )
        started = time.perf_counter()
        lowered = None if several else self.jit(self.pure_step).lower(*first)
        program: Any = (
            lowered.compile()
            if lowered
            else seeds.compiled(self.pure_step, (True,) * 3, given, self.jit, self.mesh)
        )
        self.step_program, compiled_at = program, time.perf_counter()
        jax.block_until_ready(self.step())
        first_step = time.perf_counter() - compiled_at
        device = self.mesh.devices.flat[0]
        lowered = lowered or self.jit(self.pure_step).lower(*first)
        count = flops(lowered) or flops(self._on_cpu(*first))
        found = {
            'compile_s': compiled_at - started,
            'first_step_s': first_step,
            'parameters': sum(parameters),
            'device': f'{self.mesh.size} x {device.device_kind} ({device.platform})',
            'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
            'flops_per_step': count and count * self.case.seeds,
        }
        if self.mesh.size > 1:
            text = program.as_text() or ''
            found['communication'] = hlo.communication(text, parameters, statistics)
        return found

    def _on_cpu(self, *given: Any) -> Any:
        """The step, lowered for a CPU with the operations that it has elsewhere.

        A GPU's compiler does not say how many those are.
        """
        shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), given)
        with runtime.on_cpu(), forms.tracing_for(forms.CONVERSION):
            return jax.jit(self.pure_step).lower(*shapes)


def flops(lowered: Any) -> float | None:
    """Floating-point operations of a program over all devices, or None where XLA does not say.

    Counted before XLA optimises: the optimised program is that of one device, with dot products
    and convolutions hidden in calls of libraries, whose work XLA does not count.
    """
    analysis = lowered.cost_analysis() or {}
    count = analysis.get('flops', -1)
    return count if count > 0 else None


def peak_resident_bytes() -> int:
    """The most physical memory that this process has had.

    Linux's getrusage counts in what the parent had when it started this process; /proc does not.
    """
    status = pathlib.Path('/proc/self/status')
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    return int(status.read_text().split('VmHWM:')[1].split()[0]) * 1024
