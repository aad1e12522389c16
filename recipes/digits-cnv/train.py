"""Train the network on the digits and write its weights: about a minute on two cores.

python train.py
python train.py --act-bits 2 --weight-bits 2 --output ../digits-cnv-w2a2/weights.pth
"""

from argparse import ArgumentParser
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
    for layer in quantized_layers(model):
        layer.weight.clamp_(-1, 1)


def quantized_layers(model: nn.Module) -> list[nn.Module]:
    """The layers with quantized weights."""
    return [layer for layer in model.modules() if isinstance(layer, (QuantConv2d, QuantLinear))]


def compact(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with quantized weights as int8: only the rounded latent weight counts once training is over."""
    state = dict(model.state_dict())  # without the versions of modules, thirty kilobytes
    quantized = {id(layer.weight): layer.quant_weight().value for layer in quantized_layers(model)}
    for name, parameter in model.named_parameters():
        if id(parameter) in quantized:
            state[name] = quantized[id(parameter)].to(torch.int8)
    return state


def main() -> None:
    """Train, print the held-out accuracy, write the weights."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--act-bits", type=int, default=1)
    parser.add_argument("--weight-bits", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("weights.pth"))
    options = parser.parse_args()
    torch.manual_seed(0)
    model = digits_cnv(options.act_bits, options.weight_bits)
    train(model, *tensors("train"))
    print(f"held-out accuracy {accuracy(model, *tensors('test')):.1%}")
    torch.save(compact(model), options.output)


if __name__ == "__main__":
    main()
