"""Which environment variables say what a step computes, and which only where and in which session it runs.

A step that looks at one variable depends on that one; a step that looks at all of them, as a shell does, on `digest`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

UNRECORDED = frozenset(
    [
        "FINN_BUILD_DIR",
        "FINN_ROOT",
        "TMPDIR",
        "TEMP",
        "TMP",
        "HOME",
        "PATH",
        "PWD",
        "OLDPWD",
        "USER",
        "LOGNAME",
        "SHELL",
        "TERM",
        "COLUMNS",
        "LINES",
        "LANG",
        "LANGUAGE",
        "LC_ALL",
        "LC_CTYPE",
        "NO_COLOR",
        "FORCE_COLOR",
        "COLORTERM",
        "DISPLAY",
        "XDG_RUNTIME_DIR",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XILINXD_LICENSE_FILE",
        "LM_LICENSE_FILE",
        "XILINX_VIVADO",
        "XILINX_HLS",
        "XILINX_VITIS",
        "XILINX_XRT",
        "PLATFORM_REPO_PATHS",
        "LD_LIBRARY_PATH",
        "FINN_TOOL_DIR_OVERRIDE",
        "FINN_DEPS",
        "FINN_RTLLIB",
        "FINN_CUSTOM_HLS",
        "NUM_DEFAULT_WORKERS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "JPY_PARENT_PID",
        # What finnyaml itself sets for its workers.
        "BASH_ENV",
        "FINNYAML_BASH_ENV",
        "FINNYAML_READS",
        "LD_PRELOAD",
        "PYTHONHASHSEED",
        "PYTHONUNBUFFERED",
        "XILINX_LOCAL_USER_DATA",
    ]
)
"""Variables that say where and how a build runs, not what it computes. What tools do depends on their versions."""

SESSION = frozenset(
    [
        "CUDA_MODULE_LOADING",
        "EDITOR",
        "ENVIRONMENT",
        "HOSTNAME",
        "INVOCATION_ID",
        "LESS",
        "LS_COLORS",
        "MAIL",
        "MAKEFLAGS",
        "MAKELEVEL",
        "MFLAGS",
        "PAGER",
        "PS1",
        "SHLVL",
        "STY",
        "TORCHINDUCTOR_CACHE_DIR",
        "VIRTUAL_ENV",
        "VIRTUAL_ENV_PROMPT",
        "VISUAL",
        "WAYLAND_DISPLAY",
        "WINDOWID",
        "XAUTHORITY",
        "_",
    ]
)
SESSION_PREFIXES = (
    *(
        "CI_",
        "GITHUB_",
        "RUNNER_",
        "SLURM_",
        "SLURMD_",
        "SRUN_",
        "SUBMITIT_",
        "PBS_",
        "LSB_",
    ),  # a job of a cluster or of continuous integration
    *("SSH_", "XDG_", "DBUS_", "DESKTOP_", "GNOME_", "KDE_", "TERM_", "TMUX", "VSCODE_", "VTE_", "WT_", "ITERM_"),
    *("KMP_", "OMP_", "GOMP_", "MKL_", "OPENBLAS_", "NUMEXPR_"),  # how many threads; set by libraries, too
    *("FINNYAML_", "PYTEST_"),
)
"""Variables that are new with every login, terminal or job, or that libraries set: "all variables" leaves them out.

One that is looked at by its name counts all the same.
"""


_SECRET = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|(ACCESS|PRIVATE|SIGNING)_?KEY|AUTH", re.IGNORECASE
)


def recorded(name: str, value: str | None) -> str | None:
    """What is written down of the value of a variable: of what looks like a secret only a digest."""
    if value is None or not _SECRET.search(name):
        return value
    return f"sha256:{hashlib.sha256(f'{name}={value}'.encode()).hexdigest()[:32]}"


def digest(environ: Mapping[str, str], beginning: str = "") -> str:
    """Digest of all variables that can say what a step computes; of those whose names begin so, in capitals or not."""
    left_out = UNRECORDED | SESSION
    counted = sorted(
        (name, value)
        for name, value in environ.items()
        if name not in left_out and not name.startswith(SESSION_PREFIXES) and name.upper().startswith(beginning)
    )
    return hashlib.sha256(json.dumps(counted).encode()).hexdigest()
