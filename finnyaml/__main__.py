"""Entry point of the `finnyaml` command and of `python -m finnyaml`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; the quick path first, which imports next to nothing."""
    from finnyaml.cli import quick

    if quick.up_to_date(sys.argv[1:]):
        return 0
    from finnyaml.cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
