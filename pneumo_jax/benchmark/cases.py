"""What is measured: a case is one process (or job of processes), a group is compared."""

import dataclasses
import itertools
import pathlib
from collections.abc import Sequence
from typing import Any

OURS = 'ours'
NOTEBOOK = 'torch notebook'
PEERS = {
    'torch': ('torch eager', 'torch compile', NOTEBOOK),
    'compile': ('torch compile',),
    'notebook': (NOTEBOOK,),
}
PEERS_SCRIPT = pathlib.Path('experiments/speed/peers.py')
MEASURES = {
    'step': 'forward, backward and Adam, on data that already lie on the device',
    'forward': 'inference',
    'input': 'a batch chosen, gathered and scaled on the device, no model',
    'epoch': 'whole epochs as training runs them: steps, validation, log, checkpoint',
}


@dataclasses.dataclass(frozen=True)
class Case:
    """`batch` images a step on each of `devices` devices of each of `processes` processes.

    `model` is the page's whole config.model; `seeds` above 1 trains so many models together.
    `data` is an npz with MedMNIST's keys, or a folder, and '' stands for drawn images.
    """

    variant: str
    page: str
    model: dict[str, Any]
    size: int
    batch: int
    channels: int = 1
    classes: int = 2
    devices: int = 1
    processes: int = 1
    seeds: int = 1
    data: str = ''

    @property
    def mesh_size(self) -> int:
        """Devices over all processes."""
        return self.devices * self.processes

    @property
    def images_per_step(self) -> int:
        """Over all devices and seeds."""
        return self.batch * self.mesh_size * self.seeds

    @property
    def name(self) -> str:
        """What tells the case from others of its group: 'ours, 4 devices'."""
        counts = {'device': self.devices, 'process': self.processes, 'seed': self.seeds}
        plural = {'device': 'devices', 'process': 'processes', 'seed': 'seeds together'}
        more = [f'{count} {plural[what]}' for what, count in counts.items() if count > 1]
        return ', '.join([self.variant, *more])

    @property
    def group(self) -> str:
        """What the cases of a group have in common: 'cnn 28 px, batch 128, float32'."""
        return f'{self.page} {self.size} px, batch {self.batch}, {self.model["dtype"]}'


Group = list[Case]


def model(page: str, size: int, dtype: str, batch: int) -> dict[str, Any]:
    """config.model of configs/PAGE.py:SIZE, as JSON has it; what cannot be is a `UserError`."""
    from pneumo_jax import config as configs  # .2 s, which every verb would wait for

    overrides = {'model.dtype': dtype, 'batch_size': str(batch)}
    return configs.to_json(configs.load(f'configs/{page}.py:{size}', overrides))['model']


def groups(
    models: Sequence[str],
    sizes: Sequence[int],
    batches: Sequence[int],
    dtypes: Sequence[str],
    *,
    devices: Sequence[int] = (1,),
    processes: Sequence[int] = (1,),
    seeds: int = 1,
    peers: Sequence[str] = (),
    **common: Any,
) -> list[Group]:
    """The grid. Seeds and peers stand beside one device of one process; `common` is in all.

    Raises:
        UserError: no such page, size, type or batch.
    """
    found = []
    for page, size, batch, dtype in itertools.product(models, sizes, batches, dtypes):
        ours = Case(OURS, page, model(page, size, dtype, batch), size, batch, **common)
        group = [
            dataclasses.replace(ours, devices=d, processes=p)
            for p, d in itertools.product(processes, devices)
        ]
        if seeds > 1:
            group.append(dataclasses.replace(ours, seeds=seeds))
        names = dict.fromkeys(itertools.chain.from_iterable(PEERS[peer] for peer in peers))
        found.append(group + [dataclasses.replace(ours, variant=name) for name in names])
    return found
