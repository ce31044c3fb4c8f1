"""Text in columns, as the commands print their tables."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

HASH = re.compile(r"\b[0-9a-f]{32,}\b")


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """`rows` of one length as aligned lines, the columns `right` flush right.

    >>> print(columns([("ID", "N"), ("a-1", "12"), ("b", "7")], right=(1,)))
    ID    N
    a-1  12
    b     7
    """
    width = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(text.rjust(width[i]) if i in right else text.ljust(width[i]) for i, text in enumerate(row))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def spelt(value: Any) -> str:
    """A parameter's value in one line: text as it is where it can be read so, anything else as Python spells it.

    >>> spelt("a b"), spelt(""), spelt("a\\nb"), spelt(0.5)
    ('a b', "''", "'a\\\\nb'", '0.5')
    """
    return value if isinstance(value, str) and value.strip() and value.isprintable() else repr(value)


def shortened(text: str) -> str:
    """The text with its hashes as long as tells them apart.

    >>> shortened(f"aapl {'0123456789abcdef' * 4}, 2.5")
    'aapl 0123456789ab, 2.5'
    """
    return HASH.sub(lambda found: found[0][:12], text)
