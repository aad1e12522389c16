"""`python -m accelerator`: what this bundle is, its outputs, and whether it is well."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Sequence, TextIO

import numpy as np

from . import text
from .accelerator import Accelerator
from .checks.classes import class_labels, classifies, predictions
from .checks.report import FAILED, OK, REFUSED, STOPPED, Problem, Report, exit_code
from .checks.selftest import SECONDS, selftest
from .checks.validate import validate
from .contract import Bundle
from .errors import AcceleratorError
from .numbers.arrays import read_array


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 well, 1 something is wrong, 2 wrong use, 4 package or board missing."""
    asked = _parser().parse_args(arguments)
    for name in ("json", "out"):
        path = getattr(asked, name, None)
        try:
            if path is not None:
                _check_writable(path)
        except OSError as error:
            _say(f"wrong use: --{name} {path} cannot be written: {error.strerror}", sys.stderr)
            return REFUSED
    _write_problem(asked, Problem("not finished", "the command has not come to its end"))
    try:
        return int(asked.run(asked))
    except AcceleratorError as error:
        if asked.debug:
            raise
        _say(error, sys.stderr)
        _write_problem(asked, Problem.of(error))
        return exit_code(error.name)
    except KeyboardInterrupt as error:
        _write_problem(asked, Problem.unexpected(error))
        return STOPPED
    except Exception as error:
        _write_problem(asked, Problem.unexpected(error))
        if asked.debug:
            raise
        _say(f"error: {type(error).__name__}: {error}\n  --debug shows where", sys.stderr)
        return FAILED


def _info(asked: argparse.Namespace) -> int:
    _say("\n".join(text.info(Bundle.load(asked.bundle))), sys.stdout)
    return OK


def _predict(asked: argparse.Namespace) -> int:
    images = read_array(asked.data, asked.images, "images")
    with _open(asked) as accelerator:
        outputs = accelerator.predict(images)
    if asked.out is not None:
        with asked.out.open("wb") as stream:  # given a name, numpy adds its own suffix
            np.save(stream, outputs)
        _say(f"{len(outputs)} outputs in {asked.out}", sys.stdout)
    else:
        for row in outputs.reshape(len(outputs), -1):
            print(*row.tolist())
    return OK


def _selftest(asked: argparse.Namespace) -> int:
    with ExitStack() as opened:
        bundle = Bundle.load(asked.bundle)
        report = selftest(
            bundle,
            lambda: opened.enter_context(_open(asked)),
            asked.emulate,
            SECONDS,
            changed_bitfile=asked.changed_bitfile,
            debug=asked.debug,
        )
    return _finish(asked, report, text.selftest(report))


def _validate(asked: argparse.Namespace) -> int:
    images, labels = (
        read_array(asked.data, key, what)[: asked.limit]
        for key, what in ((asked.images, "images"), (asked.labels, "labels"))
    )
    with _open(asked) as accelerator:
        report = validate(accelerator, images, labels)
        output = accelerator.bundle.output
    if asked.out is not None and report.outputs is not None:
        kept: dict[str, Any] = {"index": np.arange(len(images)), "outputs": report.outputs}
        kept["labels"] = class_labels(labels, len(images))
        if classifies(output):
            kept["predictions"] = predictions(report.outputs, output)
        with asked.out.open("wb") as stream:  # given a name, numpy adds its own suffix
            np.savez_compressed(stream, **kept)
    return _finish(asked, report, text.validation(report))


def _open(asked: argparse.Namespace) -> Accelerator:
    return Accelerator(
        asked.bundle,
        emulate=asked.emulate,
        driver=asked.driver,
        batch=asked.batch,
        changed_bitfile=asked.changed_bitfile,
    )


def _finish(asked: argparse.Namespace, report: Report, lines: list[str]) -> int:
    _say("\n".join(lines), sys.stdout)
    _write_json(asked, report.plain())
    return report.exit_code


def _say(told: object, stream: TextIO) -> None:
    """Print without anything that a terminal would obey: a bundle may be of anybody."""
    print("".join(c if c.isprintable() or c == "\n" else "?" for c in str(told)), file=stream)


def _check_writable(path: Path) -> None:
    """Open a file that is written in the end, and leave it as it was. Raises OSError: it cannot be."""
    there = path.exists()
    path.open("ab").close()
    if not there:
        path.unlink()


def _write_problem(asked: argparse.Namespace, problem: Problem) -> None:
    """A report of one problem, in the place of whatever an earlier command has left there."""
    _write_json(asked, {"problems": [vars(problem)], "ok": False})


def _write_json(asked: argparse.Namespace, data: dict[str, Any]) -> None:
    if getattr(asked, "json", None) is not None:
        asked.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--bundle", type=Path, metavar="DIR", help="the bundle's folder (default: the one around this package)"
    )
    common.add_argument("--debug", action="store_true", help="show the traceback of an error")
    device = argparse.ArgumentParser(add_help=False)
    device.add_argument("--emulate", action="store_true", help="no board: the build's own graph takes its place")
    device.add_argument(
        "--driver", choices=("pynq", "finn"), default="pynq", help="who drives the board (default: pynq)"
    )
    device.add_argument("--batch", type=_positive, default=256, metavar="N", help="images at a time (default: 256)")
    device.add_argument(
        "--changed-bitfile",
        action="store_true",
        help="drive a bitfile or .hwh that is not this bundle's: outputs may be wrong, memory may be overwritten",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data", type=Path, required=True, metavar="FILE", help="an .npz archive or an .npy file")
    data.add_argument("--images", metavar="KEY", help="the array of the images in an archive")
    report = argparse.ArgumentParser(add_help=False)
    report.add_argument("--json", type=Path, metavar="FILE", help="write the report as data, too")

    parser = argparse.ArgumentParser(prog="python -m accelerator", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(name: str, run: Any, said: str, *parents: argparse.ArgumentParser) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=said, description=said, parents=[common, *parents])
        added.set_defaults(run=run)
        return added

    command("info", _info, "what the bundle is, and what it expects")
    added = command("predict", _predict, "the outputs for images", device, data)
    added.add_argument("--out", type=Path, metavar="FILE", help="write them to this .npy file (default: print them)")
    command("selftest", _selftest, "whether bundle and board are well: files, golden samples, speed", device, report)
    added = command("validate", _validate, "the accuracy on a data set, against the build's", device, data, report)
    added.add_argument("--labels", metavar="KEY", help="the array of the labels")
    added.add_argument(
        "--out", type=Path, metavar="FILE", help="keep index, outputs, predictions and labels in this .npz"
    )
    added.add_argument("--limit", type=_positive, metavar="N", help="only the first N images")
    return parser


def _positive(word: str) -> int:
    number = int(word)
    if number < 1:
        raise argparse.ArgumentTypeError("a whole number from 1 on")
    return number


if __name__ == "__main__":
    sys.exit(main())
