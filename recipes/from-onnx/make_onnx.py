"""Train a small 4-bit network on the 8x8 digits and write it as `digits-mlp.onnx` (QONNX): a few seconds.

    python make_onnx.py

The recipe needs the result only; this is where it comes from.
"""

import sys
from pathlib import Path

import torch
from brevitas.export import export_qonnx
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "digits-cnv"))
from data import load  # noqa: E402  (the shared digits)

EPOCHS = 60
BATCH = 64


def tensors(split: str) -> tuple[Tensor, Tensor]:
    """Images as float [n, 64] in -1..1, and labels, of one split."""
    images, labels = load(split, size=8)
    pixels = torch.from_numpy(images).flatten(1) / 255
    return (pixels - 0.5) / 0.5, torch.from_numpy(labels)


def network() -> nn.Module:
    """64 pixels, two hidden layers of 32, ten scores; weights and activations of four bits."""

    def hidden(inputs: int) -> list[nn.Module]:
        return [
            QuantLinear(inputs, 32, bias=False, weight_bit_width=4),
            nn.BatchNorm1d(32),
            QuantReLU(bit_width=4),
        ]

    # The input's range is fixed: a learned one reaches below -1, and FINN refuses thresholds that no byte can reach.
    pixels = QuantIdentity(bit_width=8, scaling_impl_type="const", min_val=-1.0, max_val=1.0)
    scores = QuantLinear(32, 10, bias=False, weight_bit_width=4)
    return nn.Sequential(pixels, *hidden(64), *hidden(32), scores)


def main() -> None:
    """Train, print the held-out accuracy, export for one image at a time."""
    torch.manual_seed(0)
    model = network()
    images, labels = tensors("train")
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels)).split(BATCH):
            loss = cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    model.eval()
    images, labels = tensors("test")
    with torch.no_grad():
        print(f"held-out accuracy {(model(images).argmax(1) == labels).float().mean():.1%}")
    exported = export_qonnx(model, args=torch.zeros(1, 64))
    for node in exported.graph.node:
        del node.metadata_props[:]  # the exporter notes source lines of this machine
    (HERE / "digits-mlp.onnx").write_bytes(exported.SerializeToString())


if __name__ == "__main__":
    main()
