"""`python -m benchmarks [NAME ...]`: run these benchmarks, or the usual ones, and print their tables.

`python -m benchmarks faults` is another thing: it measures no time (see `faults`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks import (
    big,
    cluster,
    cold,
    curves,
    executor,
    faults,
    fifo,
    flips,
    folding,
    growth,
    incremental,
    large,
    layer_cache,
    layers,
    noop,
    packing,
    published,
    queues,
    rtl,
    seeded,
    sweep,
    trust,
    windows,
)
from benchmarks.bench import machine

BENCHMARKS: Mapping[str, Callable[[Path], None]] = {
    "noop": noop.run,
    "cold": cold.run,
    "incremental": incremental.run,
    "growth": growth.run,
    "big": big.run,
    "executor": executor.run,
    "packing": packing.run,
    "rtl": rtl.run,
    "seeded": seeded.run,
    "published": published.run,
    "layers": layers.run,
    "layer_cache": layer_cache.run,
    "folding": folding.run,
    "curves": curves.run,
    "trust": trust.run,
    "queues": queues.run,
    "fifo": fifo.run,
    "flips": flips.run,
    "windows": windows.run,
    "large": large.run,
    "cluster": cluster.run,
    "sweep": sweep.run,
}

ON_REQUEST = (
    *("seeded", "published", "layers", "folding", "curves", "trust", "queues"),
    *("fifo", "windows", "flips", "large", "cluster", "sweep", "layer_cache"),
)
"""Those that take long, and so only run by their names."""


def main() -> None:
    """Run the benchmarks that the command line names, each in a temporary folder of its own."""
    if sys.argv[1:2] == ["faults"]:
        sys.exit(faults.main(sys.argv[2:]))
    usual = [name for name in BENCHMARKS if name not in ON_REQUEST]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What finnyaml costs, measured. Another thing: `python -m benchmarks faults --help`.",
    )
    parser.add_argument("names", nargs="*", metavar="|".join(BENCHMARKS), help=f"default: {', '.join(usual)}")
    variants = f"of the benchmark sweep; default: {sweep.VARIANTS}"
    parser.add_argument("--variants", type=int, metavar="N", default=sweep.VARIANTS, help=variants)
    arguments = parser.parse_args()
    names = arguments.names or usual
    if unknown := sorted(set(names) - BENCHMARKS.keys()):
        parser.error(f"no benchmark {', '.join(unknown)}; there are: {', '.join(BENCHMARKS)}")
    print(machine())
    for name in names:
        print(f"\n## {name}\n", flush=True)
        with tempfile.TemporaryDirectory(prefix=f"finnyaml-{name}-") as folder:
            if name == "sweep":
                sweep.run(Path(folder), arguments.variants)
            else:
                BENCHMARKS[name](Path(folder))


if __name__ == "__main__":
    main()
