"""Train the network on the digits, or that of another recipe, and write its weights: about a minute on one core.

python train.py
python train.py ../digits-resnet/model.py:digits_resnet
python train.py --bits 2        # weights-2.pth, for sweep.yaml
"""

import importlib.util
from argparse import ArgumentParser
from pathlib import Path
from types import ModuleType

import torch
from brevitas.nn import QuantConv2d, QuantLinear
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

DATA = Path(__file__).parents[1] / "digits-cnv" / "data.py"
EPOCHS = 40
BATCH = 64


def module(file: Path) -> ModuleType:
    """The Python file as a module."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def tensors(split: str) -> tuple[Tensor, Tensor]:
    """Images as float [n, 1, 14, 14] in 0..1, and labels, of one split."""
    images, labels = module(DATA).load(split)
    return torch.from_numpy(images) / 255, torch.from_numpy(labels)


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """The share of images whose highest score is at their label."""
    model.eval()
    return (model(images).argmax(1) == labels).float().mean().item()


def train(model: nn.Module, images: Tensor, labels: Tensor) -> None:
    """Adam with a cosine schedule; after every update the latent weights are kept where they are not cut off."""
    weights = [layer.weight for layer in quantized_layers(model)]
    others = [p for p in model.parameters() if all(p is not w for w in weights)]
    optimizer = torch.optim.Adam([{"params": weights, "lr": 0.02 * model.largest}, {"params": others, "lr": 0.01}])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for epoch in range(EPOCHS):
        model.train()
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                for weight in weights:
                    weight.clamp_(-model.largest, model.largest)
        schedule.step()
        print(f"epoch {epoch + 1:2}/{EPOCHS}  loss {loss.item():.3f}", flush=True)


def quantized_layers(model: nn.Module) -> list[nn.Module]:
    """The layers with quantized weights."""
    return [layer for layer in model.modules() if isinstance(layer, (QuantConv2d, QuantLinear))]


def compact(model: nn.Module) -> dict[str, Tensor]:
    """The state dict with weights as int8: they are integers, and what was cut off counts no more."""
    state = dict(model.state_dict())  # without the versions of modules, thirty kilobytes
    quantized = {id(layer.weight): layer.quant_weight().value for layer in quantized_layers(model)}
    for name, parameter in model.named_parameters():
        if id(parameter) in quantized:
            state[name] = quantized[id(parameter)].round().to(torch.int8)
    return state


def main() -> None:
    """Train, print the held-out accuracy, write the weights beside the network."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?", default=f"{Path(__file__).with_name('model.py')}:digits_rtl")
    parser.add_argument("--bits", type=int, help="of weights and activations; default: those of the network")
    arguments = parser.parse_args()
    file, function = arguments.network.rsplit(":", 1)
    widths = {} if arguments.bits is None else {"weight_bits": arguments.bits, "act_bits": arguments.bits}
    torch.manual_seed(0)
    model = getattr(module(Path(file)), function)(**widths)
    train(model, *tensors("train"))
    print(f"held-out accuracy {accuracy(model, *tensors('test')):.1%}")
    name = "weights.pth" if arguments.bits is None else f"weights-{arguments.bits}.pth"
    torch.save(compact(model), Path(file).with_name(name))


if __name__ == "__main__":
    main()
