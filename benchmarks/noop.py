"""Nothing has changed: how long until `finnyaml build` says so, beside `dvc repro` and `doit`.

DVC and doit cannot build FINN's flow, so theirs are stand-in pipelines: chains of as many steps as the recipe has
tasks, each of which copies one small file. They have less to look at than finnyaml, which checks the files of the
recipe, all that it wrote and the sources of FINN. DVC runs without git, analytics and its check for updates.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.bench import ROOT, Project, clean_environment, in_turn, median, table, verdict
from benchmarks.bench import run as run_command

ROUNDS = 15
TOOLS = ROOT / ".venv-bench" / "bin"

DODO = """
def task_chain():
    for number in range({depth}):
        before, after = f"{{number:03}}.txt", f"{{number + 1:03}}.txt"
        yield {{
            "name": after,
            "actions": [f"cp {{before}} {{after}}"],
            "file_dep": [before],
            "targets": [after],
        }}
"""


def run(folder: Path) -> None:
    """Print the no-op times of the three, and of the ordinary path of finnyaml."""
    project = Project.of_digits(folder / "digits-cnv", folder / "store")
    depth = len(project.build()[2])
    project.finnyaml("build")  # leaves the stamp of the quick path
    dvc = Chain(folder / "dvc", depth)
    dvc.lay_out_dvc()
    doit = Chain(folder / "doit", depth)
    doit.lay_out_doit()

    def finnyaml_build() -> float:
        seconds, output = project.finnyaml("build")
        assert f"is up to date: {depth} steps" in output, output
        return seconds

    def dvc_repro() -> float:
        seconds, output = dvc.run("dvc", "repro")
        assert "Data and pipelines are up to date." in output, output
        return seconds

    def doit_run() -> float:
        seconds, output = doit.run("doit")
        assert output.count("-- chain:") == depth, output
        return seconds

    contestants = {
        "finnyaml build": finnyaml_build,
        "doit": doit_run,
        "dvc repro": dvc_repro,
        "finnyaml build --json (by traces)": lambda: project.build()[0],
        "finnyaml plan": lambda: project.finnyaml("plan")[0],
    }
    in_turn(contestants, 1)
    seconds = in_turn(contestants, ROUNDS)
    middle = {name: median(values) for name, values in seconds.items()}
    table(
        ["nothing to do", "min", "median", "of dvc", "of doit"],
        [
            [
                name,
                f"{min(seconds[name]) * 1000:.0f} ms",
                f"{middle[name] * 1000:.0f} ms",
                f"{middle[name] / middle['dvc repro']:.2f}x",
                f"{middle[name] / middle['doit']:.2f}x",
            ]
            for name in contestants
        ],
    )
    print(f"\n{depth} tasks each; whole processes; {ROUNDS} rounds in turn. dvc and doit run stand-in pipelines.")
    verdict("finnyaml build to dvc repro", middle["finnyaml build"] / middle["dvc repro"], 0.25)
    verdict("finnyaml build to doit", middle["finnyaml build"] / middle["doit"], 2.0)


class Chain:
    """A stand-in pipeline in a folder of its own: 000.txt is copied to 001.txt, that to 002.txt, and so on."""

    def __init__(self, folder: Path, depth: int) -> None:
        self.folder = folder
        self.depth = depth
        folder.mkdir()
        (folder / "000.txt").write_text("the first\n")

    def run(self, tool: str, *arguments: str) -> tuple[float, str]:
        """Run dvc or doit, with settings and caches in this folder only."""
        if not (TOOLS / tool).exists():
            raise SystemExit(f"{tool} is not in {TOOLS}: `make setup-bench` installs it")
        folders = ("DVC_SITE_CACHE_DIR", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")
        own = {name: str(self.folder / ".settings" / name) for name in folders}
        return run_command(
            [str(TOOLS / tool), *arguments], self.folder, clean_environment(DVC_NO_ANALYTICS="1", CI="1", **own)
        )

    def lay_out_dvc(self) -> None:
        """A dvc.yaml with one stage per step, built once. CI=1 switches DVC's check for updates off."""
        stages = ["stages:"]
        for number in range(self.depth):
            before, after = f"{number:03}.txt", f"{number + 1:03}.txt"
            stages += [
                f"  copy{number}:",
                f"    cmd: cp {before} {after}",
                f"    deps: [{before}]",
                f"    outs: [{after}]",
            ]
        (self.folder / "dvc.yaml").write_text("\n".join(stages) + "\n")
        self.run("dvc", "init", "--no-scm", "--quiet")
        self.run("dvc", "repro")

    def lay_out_doit(self) -> None:
        """A dodo.py with one task per step, built once."""
        (self.folder / "dodo.py").write_text(DODO.format(depth=self.depth))
        self.run("doit")
