"""JSON to tree, by the same builder and under the same caps as YAML.

YAML 1.2 holds JSON, but libyaml cannot read all of it: pairs of surrogate escapes, long keys, a key and its colon on two lines.
`document.py` calls this for a text that msgspec has accepted; what msgspec refuses is read as YAML, whose findings have places.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from taskengine.define.finding import Problems
from taskengine.define.tree import Growing, Listing, Mapping, Node, Stopped

__all__ = ["read_json"]

_text: Final = msgspec.json.Decoder(str).decode
_TOKEN: Final = re.compile(r'[{\[}\]]|"(?:[^"\\]|\\.)*"|[^\s,:{}\[\]"]+')


def read_json(text: str, problems: Problems, *, max_steps: int) -> Node | None:
    """Read a valid JSON text. What is wrong with it as a document goes to ``problems``; None when reading stopped."""
    tree = Growing(problems, max_steps=max_steps)
    try:
        for match in _TOKEN.finditer(text):
            _take(tree, match[0], start=match.start())
    except Stopped:
        return None
    return tree.root


def _take(tree: Growing, token: str, *, start: int) -> None:
    match token[0]:
        case "{":
            tree.begin(Mapping({}, start))
        case "[":
            tree.begin(Listing([], start))
        case "}" | "]":
            tree.finish(start + 1)
        case '"':
            value = _text(token) if "\\" in token else token[1:-1]
            tree.scalar(value, start, end=start + len(token), source=value)
        case _:
            tree.word(token, start, end=start + len(token))
