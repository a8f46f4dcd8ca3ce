"""torch at its best, eager or compiled."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch_side import models

Batch = tuple[Tensor, Tensor]


class Tuned:
    """Data on the device, channels last, fused Adam, and no wait for the device in a step."""

    def __init__(
        self, case: dict[str, Any], arrays: dict[str, np.ndarray], device: torch.device
    ) -> None:
        torch.backends.cudnn.benchmark = True
        # As jax has it by default: float32 products on tensor cores, where the GPU has them.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        self.device, self.size = device, case['batch']
        self.bfloat16 = case['model']['dtype'] == 'bfloat16'
        self.data = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
        self.model = models.of_case(case).to(device, memory_format=torch.channels_last)
        self.adam = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)
        self.loss, self.logits, self.normalise = self._loss, self._logits, normalise
        if case['variant'] == 'torch compile':
            self.loss, self.logits = torch.compile(self._loss), torch.compile(self._logits)
            self.normalise = torch.compile(normalise)
        self.gathered = self.endless()
        self.batch = next(self.gathered)

    def step(self) -> int:
        self.learn(*self.batch)
        return self.size

    def forward(self) -> int:
        self.predict(self.batch[0])
        return self.size

    def input(self) -> int:
        self.normalise(next(self.gathered)[0])
        return self.size

    def epoch(self) -> int:
        """Every whole batch, then the validation images; the metrics are fetched at the end."""
        self.model.train()
        losses, hits = zip(*(self.learn(*batch) for batch in self.batches()), strict=True)
        images = self.size * len(losses)
        self.model.eval()
        logits, labels = self.scores(), self.data['val_labels']
        means = (
            torch.stack(losses).mean(),
            torch.stack(hits).sum() / images,
            functional.cross_entropy(logits, labels),
            (logits.argmax(1) == labels).float().mean(),
        )
        print('train loss, accuracy, val loss, accuracy:', torch.stack(means).tolist())
        return images

    def learn(self, images: Tensor, labels: Tensor) -> Batch:
        """(loss, images classified rightly) of one step."""
        self.adam.zero_grad(set_to_none=True)
        loss, hits = self.loss(images, labels)
        loss.backward()
        self.adam.step()
        return loss.detach(), hits

    def predict(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.logits(images)

    def scores(self) -> Tensor:
        """Logits of the validation images; the last batch is filled, so that no shape is new."""
        images = self.data['val_images']
        places = torch.arange(-(-len(images) // self.size) * self.size, device=self.device)
        batches = places.clamp_(max=len(images) - 1).split(self.size)
        logits = [self.predict(images.index_select(0, batch)) for batch in batches]
        return torch.cat(logits)[: len(images)]

    def batches(self) -> Iterator[Batch]:
        """uint8 images [b h w c] and their labels [b], in a new order, all of them whole."""
        images, labels = self.data['train_images'], self.data['train_labels']
        order = torch.randperm(len(images), device=self.device)
        for places in order.split(self.size)[: len(images) // self.size]:
            yield images.index_select(0, places), labels.index_select(0, places)

    def endless(self) -> Iterator[Batch]:
        while True:
            yield from self.batches()

    def _loss(self, images: Tensor, labels: Tensor) -> Batch:
        logits = self._logits(images)
        return functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).sum()

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            return self.model(normalise(images)).float()


def normalise(images: Tensor) -> Tensor:
    """uint8 [b h w c] -> float32 [b c h w] in -1..1, channels last in memory as before."""
    return images.permute(0, 3, 1, 2).mul(1 / 127.5).sub_(1)
