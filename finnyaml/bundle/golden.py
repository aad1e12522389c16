"""Golden samples: real inputs, the values they make at the accelerator's boundary, and the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from finnyaml.errors import StepFailed

if TYPE_CHECKING:
    from finnyaml.accelerator.numbers.datatypes import Datatype
    from finnyaml.verify.data.dataset import DataSet

FROM_DATA = "the data set of the recipe"
RANDOM = "random values"


@dataclass(frozen=True)
class Samples:
    """Some samples [n, ...] as the user hands them over, and where they are from.

    index: their numbers in the data set. labels: [n, ...] if it has any. range: the extremes of all values of the data
    set (None: there is none).
    """

    index: np.ndarray
    inputs: np.ndarray
    labels: np.ndarray | None
    range: tuple[float, float] | None
    source: str


def of_data(data: DataSet, count: int) -> Samples:
    """`count` samples, evenly spread over the whole data set: sets that are sorted by class give every class."""
    size = min(count, data.size)
    numbers = np.concatenate(data.chunks(max(data.size, 1)))
    wanted = numbers[np.arange(size) * data.size // size]
    inputs, labels = [], []
    low, high = np.inf, -np.inf
    for batch in data.batches(data.batch):
        low, high = min(low, float(batch.inputs.min())), max(high, float(batch.inputs.max()))
        kept = np.isin(batch.index, wanted)
        inputs.append(batch.inputs[kept])
        if batch.labels is not None:
            labels.append(batch.labels[kept])
    return Samples(
        wanted, np.concatenate(inputs), np.concatenate(labels) if labels else None, (low, high), source=FROM_DATA
    )


def at_random(shape: tuple[int, ...], datatype: Datatype, count: int) -> Samples:
    """`count` samples of random values of the datatype (of 0 to 1 if it is a float); always the same ones."""
    draw = np.random.RandomState(np.random.MT19937(0))
    size = (count, *shape)
    if datatype.kind == "float":
        inputs = draw.random_sample(size)
    elif datatype.kind == "bipolar":
        inputs = 2 * draw.randint(0, 2, size) - 1
    else:
        steps = draw.randint(0, int(min((datatype.high - datatype.low) / datatype.step, 2**31 - 2)) + 1, size)
        inputs = datatype.low + steps * datatype.step
    return Samples(np.arange(count), np.asarray(inputs), None, None, source=RANDOM)


def as_dtype(values: np.ndarray, dtype: np.dtype, what: str) -> np.ndarray:
    """The same values, of any shape, in another dtype.

    Raises StepFailed: some of them have no equal there; float values that are only rounded are fine.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        found = values.astype(dtype)
    if dtype.kind in "iu" and not np.array_equal(found.astype(np.float64), values.astype(np.float64)):
        wrong = values[found.astype(np.float64) != values.astype(np.float64)].reshape(-1)[0]
        raise StepFailed(
            f"{what} hold {wrong}, which is not {dtype.name}",
            hint="does model.input.datatype say what the data set has? FLOAT32, for example",
        )
    return found


def dtype_of(datatype: Datatype) -> np.dtype:
    """What holds values of a datatype for people: as small as can be, but float32 for all that are not integers."""
    return datatype.numpy if datatype.numpy.kind in "iu" else np.dtype(np.float32)


def fitting(values: np.ndarray, datatype: Datatype, what: str) -> np.ndarray:
    """Values of a stream, of any shape, as `dtype_of` its datatype. Raises as `check_fits`."""
    check_fits(values, datatype, what)
    return values.astype(dtype_of(datatype))


def check_fits(values: np.ndarray, datatype: Datatype, what: str) -> None:
    """Refuse values (of any shape) that the stream cannot carry: the board would wrap them around.

    Raises StepFailed: with the first of them.
    """
    if datatype.kind == "float":
        return
    wrong = (values < datatype.low) | (values > datatype.high) | (values % datatype.step != 0)
    if datatype.kind == "bipolar":
        wrong |= values == 0
    if wrong.any():
        raise StepFailed(
            f"{what} is {values[wrong].reshape(-1)[0]:g} for a golden sample, and its datatype {datatype.name} "
            "cannot hold that: the board would answer something else",
            hint="`finnyaml lint` tells which layer's datatype is too narrow, and widen_accumulators repairs it",
        )
