"""How the networks that are trained here learn."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def train(
    model: nn.Module, images: Tensor, labels: Tensor, *, epochs: int, seed: int, peak: float, batch_size: int = 64
) -> nn.Module:
    """Train with Adam and small shifts; seeded, so that the same call gives the same weights on the same machine.

    Args:
        model: the network, which is changed.
        images: (N, C, H, W), normalised.
        labels: (N,).
        epochs: how often to see each.
        seed: of order and shifts.
        peak: the highest learning rate of the one cycle.
        batch_size: images in a step.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, epochs * (len(images) // batch_size + 1))
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(images), generator=generator), batch_size):
            loss = F.cross_entropy(model(_shift(images[batch], generator)), labels[batch])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return model.eval()


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    dy, dx = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return torch.roll(images, (dy, dx), dims=(-2, -1))
