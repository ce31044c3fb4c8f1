"""The colours of pictures: told apart by those who see no red or no green, legible on white and on black."""

from __future__ import annotations

# The first is what a picture is about, the second what speaks against it or marks it.
BLUE, RED, GREY = "#3b82f6", "#e5533d", "#8a94a2"
# Of several lines that are equals; hues of Okabe and Ito (2008) without the purple, which some see as grey.
SERIES = (BLUE, "#e69f00", "#009e73", RED, "#56b4e9", GREY)
PAPER, INK = "#ffffff", "#1f2937"  # of a printed page


def series(n: int) -> list[str]:
    """Colours of so many lines; after the last they begin again.

    >>> series(2), len(series(9))
    (['#3b82f6', '#e69f00'], 9)
    """
    return [SERIES[k % len(SERIES)] for k in range(n)]


def signed(steps: int = 127) -> list[str]:
    """A scale from loss through nothing to gain: from red through white to blue, nothing in its middle.

    >>> signed(3)
    ['#e5533d', '#ffffff', '#3b82f6']
    """
    half = steps // 2
    below = [mixed(RED, PAPER, k / half) for k in range(half)]
    return [*below, PAPER, *(mixed(PAPER, BLUE, (k + 1) / half) for k in range(half))]


def rising(steps: int = 128) -> list[str]:
    """A scale of amounts, from white to blue.

    >>> rising(2)
    ['#ffffff', '#3b82f6']
    """
    return [mixed(PAPER, BLUE, k / (steps - 1)) for k in range(steps)]


def mixed(first: str, second: str, share: float) -> str:
    """The colour so far on the way from one to another.

    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = ((int(first[k : k + 2], 16), int(second[k : k + 2], 16)) for k in (1, 3, 5))
    return "#" + "".join(f"{int(a + share * (b - a) + 0.5):02x}" for a, b in pairs)
