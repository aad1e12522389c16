"""Train the network on the digits and write `weights.pth`: about a minute on two cores.

python train.py
"""

from pathlib import Path

import torch
from brevitas.nn import QuantConv2d, QuantLinear
from data import load
from model import digits_cnv
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

EPOCHS = 20
BATCH = 64


def tensors(split: str) -> tuple[Tensor, Tensor]:
    """Images as float [n, 1, 14, 14] in 0..1, and labels, of one split."""
    images, labels = load(split)
    return torch.from_numpy(images) / 255, torch.from_numpy(labels)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose highest score is at their label."""
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Adam with a cosine schedule; after every update the latent weights are kept within -1..1."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for epoch in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            clamp(model)
        schedule.step()
        print(f"epoch {epoch + 1:2}/{EPOCHS}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def clamp(model: nn.Module) -> None:
    """A latent weight far from zero would never change its sign again."""
    for layer in binary_layers(model):
        layer.weight.clamp_(-1, 1)


def binary_layers(model: nn.Module) -> list[nn.Module]:
    """The layers with 1-bit weights."""
    return [layer for layer in model.modules() if isinstance(layer, (QuantConv2d, QuantLinear))]


def compact(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with 1-bit weights as int8: only the sign of a latent weight counts once training is over."""
    state = model.state_dict()
    signed = {id(layer.weight) for layer in binary_layers(model)}
    for name, parameter in model.named_parameters():
        if id(parameter) in signed:
            state[name] = torch.where(parameter >= 0, 1, -1).to(torch.int8)
    return state


def main() -> None:
    """Train, print the held-out accuracy, write the weights."""
    torch.manual_seed(0)
    model = digits_cnv()
    train(model, *tensors("train"))
    print(f"held-out accuracy {accuracy(model, *tensors('test')):.1%}")
    torch.save(compact(model), Path(__file__).with_name("weights.pth"))


if __name__ == "__main__":
    main()
