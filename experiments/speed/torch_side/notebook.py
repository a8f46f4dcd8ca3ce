"""The notebook's own training (its cells 3 and 7), on the model of the case."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset
from torch_side import models


class PneumoniaDataset(Dataset):
    """Its dataset, on MedMNIST's: an image is PIL, array, PIL and tensor in turn."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, transform: Any) -> None:
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.images)

    def medmnist(self, index: int) -> tuple[Image.Image, np.ndarray]:
        """What `medmnist.PneumoniaMNIST` has at `index`."""
        return Image.fromarray(self.images[index, :, :, 0]), self.labels[index, None].astype(int)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        stored, label = self.medmnist(index)
        image = np.array(stored, dtype=np.float32) / 255.0
        image = np.expand_dims(image, axis=0)
        gray = Image.fromarray((image.squeeze(0) * 255).astype(np.uint8))
        return self.transform(gray), torch.tensor(label, dtype=torch.long).squeeze()


class Notebook:
    """Images transformed one by one as they are asked for, plain Adam, a wait at every batch."""

    def __init__(
        self, case: dict[str, Any], arrays: dict[str, np.ndarray], device: torch.device
    ) -> None:
        models.torchvision()
        from torchvision import transforms

        resize = transforms.Resize((case['size'], case['size']))
        scale = transforms.Normalize(mean=[0.5], std=[0.5])
        transform = transforms.Compose([resize, transforms.ToTensor(), scale])
        train, val = (
            PneumoniaDataset(arrays[f'{split}_images'], arrays[f'{split}_labels'], transform)
            for split in ('train', 'val')
        )
        self.train = DataLoader(train, batch_size=case['batch'], shuffle=True)
        self.val = DataLoader(val, batch_size=case['batch'], shuffle=False)
        self.device = device
        self.model = models.of_case(case).to(device)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.Adam(self.model.parameters(), lr=0.001)
        self.loaded = self.endless()
        self.batch = next(self.loaded)

    def step(self) -> int:
        self.learn(*self.batch)
        return len(self.batch[0])

    def forward(self) -> int:
        with torch.no_grad():
            self.model(self.batch[0])
        return len(self.batch[0])

    def input(self) -> int:
        return len(next(self.loaded)[0])

    def epoch(self) -> int:
        """One epoch of its `train_model`, whose source it does not show, by the line it prints."""
        self.model.train()
        scores = [self.learn(*batch) for batch in self.train]
        self.model.eval()
        with torch.no_grad():
            val_scores = [fetched(*self.score(*batch)) for batch in self.val]
        for name, kind in (('train', scores), ('val', val_scores)):
            losses, hits = zip(*kind, strict=True)
            images = len(getattr(self, name).dataset)
            print(f'{name} loss {sum(losses) / len(losses)}, accuracy {sum(hits) / images}')
        return len(self.train.dataset)

    def learn(self, images: Tensor, labels: Tensor) -> tuple[float, float]:
        """(loss, images classified rightly) of one step, fetched from the device."""
        self.optimizer.zero_grad()
        loss, right = self.score(images, labels)
        loss.backward()
        self.optimizer.step()
        return fetched(loss, right)

    def score(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(loss, images classified rightly)."""
        images, labels = images.to(self.device), labels.to(self.device)
        outputs = self.model(images)
        _, predicted = torch.max(outputs, 1)
        return self.criterion(outputs, labels), (predicted == labels).sum()

    def endless(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches on the device, epoch after epoch."""
        while True:
            for images, labels in self.train:
                yield images.to(self.device), labels.to(self.device)


def fetched(loss: Tensor, right: Tensor) -> tuple[float, float]:
    return loss.item(), right.item()
