"""The page of the metrics, made from their classes."""

import inspect

from finnyaml.verify import metrics

HEAD = """# Metrics

What `verify: {metric: ...}` may name. The value after each step is compared with the reference's: see
[verification](../verification.md).

| metric | what it is | better | compares with |
|---|---|---|---|
"""

KNOWN = {
    "top1, {top_k: K}": metrics.TopK,
    "agreement": metrics.Agreement,
    "mse": metrics.MeanSquaredError,
    "psnr": metrics.PeakSignalToNoise,
    "max_abs": metrics.MaxAbs,
    "path.py:function": metrics.Own,
}


def page() -> str:
    """The page in Markdown."""
    return HEAD + "".join(_row(name, kind) for name, kind in KNOWN.items())


def _row(name: str, kind: type[metrics.Metric]) -> str:
    what = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    better = "higher" if kind.higher_is_better else "lower"
    needs = "labels" if kind.needs_labels else "the reference's outputs" if kind.needs_reference else "both"
    return f"| `{name}` | {what} | {better} | {needs} |\n"
