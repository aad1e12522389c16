"""Train TFC_1W1A on the digits and write `weights.pth`: well under a minute.

python train.py
"""

from pathlib import Path

import torch
from brevitas.nn import QuantLinear
from data import load
from model import tfc_w1a1
from torch import Tensor, nn

EPOCHS = 150
BATCH = 64


def tensors(split: str) -> tuple[Tensor, Tensor]:
    """Images as float [n, 1, 28, 28] in 0..1, and labels, of one split."""
    images, labels = load(split)
    return torch.from_numpy(images) / 255, torch.from_numpy(labels)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose highest score is at their label."""
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Adam with a cosine schedule on a squared hinge loss, as the 1-bit networks of Brevitas are trained."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    wanted = 2.0 * nn.functional.one_hot(labels, 10) - 1
    for epoch in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = (1 - model(images[batch]) * wanted[batch]).clamp(min=0).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            model.clip_weights(-1, 1)
        schedule.step()
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3}/{EPOCHS}  loss {loss.item():.3f}", flush=True)


def compact(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with 1-bit weights as int8: only the sign of a latent weight counts once training is over."""
    state = model.state_dict()
    for name, layer in model.named_modules():
        if isinstance(layer, QuantLinear):
            state[f"{name}.weight"] = torch.where(layer.weight >= 0, 1, -1).to(torch.int8)
    return state


def main() -> None:
    """Train, print the held-out accuracy, write the weights."""
    torch.manual_seed(0)
    model = tfc_w1a1()
    train(model, *tensors("train"))
    print(f"held-out accuracy {accuracy(model, *tensors('test')):.1%}")
    torch.save(compact(model), Path(__file__).with_name("weights.pth"))


if __name__ == "__main__":
    main()
