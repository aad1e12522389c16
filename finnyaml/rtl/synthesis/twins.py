"""Nodes that are the same hardware under different names, as FIFOs of one width and depth are."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from finnyaml.rtl.design import Design

_OF_TOP = re.compile(r"^module (\w+).*?^endmodule\b", re.DOTALL | re.MULTILINE)
_MODULE = re.compile(r"\bmodule\s+(\w+)")
_IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*")
_DATA = re.compile(r'"(data/[^"]*)"')


def firsts(folder: Path, design: Design) -> dict[str, str]:
    """Each node's name to that of the first node which is the same hardware, perhaps itself.

    Two nodes are the same if the modules that were generated for them differ in nothing but the name of the node, and
    read the same data.
    """
    *sources, top = ((folder / source).read_text(encoding="utf-8") for source in design.sources)
    modules = {name: text for text in sources for name in _MODULE.findall(text)}
    modules |= {found[1]: found.group() for found in _OF_TOP.finditer(top)}
    same: dict[str, str] = {}
    return {
        node.name: same.setdefault(_fingerprint(node.name, modules, folder, design.data), node.name)
        for node in design.nodes
    }


def _fingerprint(node: str, modules: dict[str, str], folder: Path, data: tuple[str, ...]) -> str:
    """Of all modules below that of the node which have its name in theirs; all others are shared by all nodes.

    modules: by name the text of a module of the top, or of the file that a module is in.
    """
    own = re.compile(rf"(?<![A-Za-z0-9]){re.escape(node)}(?![A-Za-z0-9])")
    digest = hashlib.sha256()
    waiting, seen = [f"node_{node}"], {f"node_{node}"}
    while waiting:
        name = waiting.pop(0)
        text = modules[name]
        lines = own.sub("\0", text).splitlines()
        if name == f"node_{node}":  # ports and their connections: the order says nothing
            lines = sorted(line.strip(" ,") for line in lines)
        digest.update("\n".join(lines).encode())
        for beginning in _DATA.findall(text):
            for image in sorted(each for each in data if each.startswith(beginning)):
                digest.update(image[len(beginning) :].encode() + b"\0" + (folder / image).read_bytes())
        used = dict.fromkeys(_IDENTIFIER.findall(text))
        below = [name for name in used if name in modules and own.search(name) and name not in seen]
        waiting += below
        seen.update(below)
    return digest.hexdigest()
