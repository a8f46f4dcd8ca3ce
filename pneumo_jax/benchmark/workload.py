"""One case, built and compiled as training does it, and its parts as things to repeat."""

import functools
import importlib.metadata
import pathlib
import resource
import time
from typing import Any

import jax
import numpy as np

from pneumo_jax import data, errors, forms, models, runtime
from pneumo_jax.benchmark import hlo
from pneumo_jax.benchmark.cases import Case
from pneumo_jax.data import order
from pneumo_jax.data.dataset import Dataset
from pneumo_jax.data.preprocess import Preprocess
from pneumo_jax.training import optim, steps

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
        step = steps.make_train_step(self.model, tx, self.preprocess)
        if case.seeds > 1:
            init, step = jax.vmap(init), jax.vmap(step)
        self.pure_step = step
        self.step_program = runtime.jit(step, out_shardings=everywhere, donate_argnums=0)
        self.predict = runtime.jit(
            steps.make_predict(self.model, self.preprocess), out_shardings=everywhere
        )
        self.scale = runtime.jit(self.preprocess)
        self.gather = runtime.jit(lambda images, chosen: self.preprocess(images[chosen]))
        self.state = runtime.jit(init, out_shardings=everywhere)(self._keys('init'))
        self.key = self._keys('train')
        self.batch = runtime.shard(self._drawn_batch(), self.mesh)
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

    def _keys(self, purpose: str) -> jax.Array:
        """A key, or one for each seed."""
        if self.case.seeds == 1:
            return runtime.key(0, purpose)
        return jax.numpy.stack([runtime.key(seed, purpose) for seed in range(self.case.seeds)])

    def _drawn_batch(self) -> steps.Batch:
        case, rng = self.case, np.random.default_rng(0)
        count = case.batch * case.mesh_size
        shape = (case.seeds, count) if case.seeds > 1 else (count,)
        return {
            'image': rng.integers(0, 256, (*shape, *self.preprocess.image_shape), np.uint8),
            'label': rng.integers(0, case.classes, shape, np.int32),
        }

    def _compile(self) -> dict[str, Any]:
        """Compile the step and take the first one; what a worker says of itself."""
        arguments = (self.state, self.batch, self.key)
        parameters, statistics = (
            [leaf.size // self.case.seeds for leaf in jax.tree.leaves(tree)]
            for tree in (self.state.params, self.state.batch_stats)
        )
        started = time.perf_counter()
        lowered = self.step_program.lower(*arguments)
        compiled = lowered.compile()
        compiled_at = time.perf_counter()
        jax.block_until_ready(self.step())
        first = time.perf_counter() - compiled_at
        device = self.mesh.devices.flat[0]
        found = {
            'compile_s': compiled_at - started,
            'first_step_s': first,
            'parameters': sum(parameters),
            'device': f'{self.mesh.size} x {device.device_kind} ({device.platform})',
            'versions': {name: importlib.metadata.version(name) for name in PACKAGES},
            'flops_per_step': flops(lowered) or flops(self._on_cpu()),
        }
        if self.mesh.size > 1:
            text = compiled.as_text() or ''
            found['communication'] = hlo.communication(text, parameters, statistics)
        return found

    def _on_cpu(self) -> Any:
        """The step, lowered for a CPU with the operations that it has elsewhere.

        A GPU's compiler does not say how many those are.
        """
        shapes = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype),
            (self.state, self.batch, self.key),
        )
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
