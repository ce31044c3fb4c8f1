"""How an order method becomes one call of the engine: a verb, a word that says what was given, six numbers.

The compiler (`lower.py`) and the Python view (`view`) both go by it.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kernelkit.kernels import layout as L
from kernelkit.kernels.context import TIF, VERBS

DISTANCES = {
    "trail": L.V_TRAIL,
    "ticks": L.V_TRAIL_TICKS,
    "fraction": L.V_TRAIL_FRACTION,
    "bps": L.V_TRAIL_BPS,
}
FLAGS = {"post_only": L.POST_ONLY, "reduce_only": L.REDUCE_ONLY}
SETTINGS = ("tif", *FLAGS)  # what an order is told by literals
LASTING = ("GTC", "DAY", "GTD")


class Order(NamedTuple):
    """A call of the engine: verb, time in force + 8 * mask, and the argument that each of its numbers comes from."""

    code: int
    word: int
    numbers: tuple[str, ...]


def tif_of(name: str, given: Collection[str], settings: Mapping[str, Any]) -> str:
    """The time in force of a call: what the method says, else what was asked for; `expires` alone means GTD (O11)."""
    return VERBS[name].when or str(settings.get("tif", "GTD" if "expires" in given else "GTC"))


def refusal(name: str, given: Collection[str], settings: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with a call of `ctx.name`, and what to write instead; None for nothing.

    `given` are the arguments that it has, `settings` the values of those that must be literals.

    >>> refusal("limit", {"quantity", "price"}, {"tif": "GTD"})
    ('an order good till a date without one', 'pass expires=, in ns')
    >>> refusal("order", {"quantity"}, {"tif": "DAY"})
    """
    verb, tif = VERBS[name], tif_of(name, given, settings)
    if tif not in (verb.when, *verb.tifs) and verb.tifs:
        return f"{tif!r} as time in force of `{name}`", f"one of {', '.join(map(repr, verb.tifs))}"
    for flag in FLAGS:
        if not isinstance(settings.get(flag, False), bool):
            return f"{flag} must be a literal", "True or False"
    if tif == "GTD" and "expires" not in given:
        return "an order good till a date without one", "pass expires=, in ns"
    if "expires" in given and tif != "GTD":
        return f"expires= of an order that is {tif}", "leave tif= out"
    for asked in ("post_only", "display"):
        if (settings.get(asked) or asked in given) and tif not in LASTING:
            return f"{asked} of an order that does not rest", f"tif is one of {', '.join(map(repr, LASTING))}"
        if name == "bracket" and (settings.get(asked) or asked in given) and "entry" not in given:
            return f"{asked} of a bracket that enters at the market", "pass entry=, the price of a limit"
    if "trail" in verb.arguments and sum(d in given for d in DISTANCES) != 1:
        return "a trailing stop trails by one distance", "pass one of trail=, ticks=, fraction= or bps="
    for price, fraction in (("stop", "stop_loss"), ("limit", "take_profit")):
        if price in given and fraction in given:
            return f"both {price}= and {fraction}=", "pass the exit as a price or as a fraction"
    if name == "replace" and len(given) == 1:
        return "a replacement of nothing", "pass quantity=, price= or trigger="
    return None


def order_of(name: str, given: Collection[str], settings: Mapping[str, Any]) -> Order:
    """The call that `ctx.name` with these arguments becomes; it must not be one that `refusal` names.

    >>> order_of("limit", {"quantity", "price", "display"}, {"post_only": True})
    Order(code=1, word=40, numbers=('quantity', 'price', '', '', 'display', ''))
    """
    verb, mask = VERBS[name], 0
    code, numbers = verb.code, verb.arguments
    if name in ("bracket", "replace"):
        mask = sum(1 << k for k, a in enumerate(verb.optional) if a in given)
    if name == "bracket":  # which of a price and a fraction a number is, the mask says
        mask += L.ENTRY_POST_ONLY if settings.get("post_only") else 0
        mask += L.ENTRY_DISPLAY if "display" in given else 0
        stop = "stop_loss" if "stop_loss" in given else "stop"
        limit = "take_profit" if "take_profit" in given else "limit"
        numbers = ("quantity", stop, limit, "entry", "expires", "display")
    elif name != "replace" and (verb.tifs or verb.when):
        if "trail" in numbers:
            distance = next(d for d in DISTANCES if d in given)
            code, numbers = DISTANCES[distance], ("quantity", distance, "offset")
            mask = L.HAS_OFFSET if "offset" in given else 0
        mask += sum(bit for flag, bit in FLAGS.items() if settings.get(flag))
        mask += L.HAS_DISPLAY if "display" in given else 0
        numbers = (*(*numbers, "", "", "")[:3], "expires", "display")
    word = TIF[tif_of(name, given, settings)] + 8 * mask
    padded = (*numbers, "", "", "", "", "", "")[:6]
    return Order(code, word, tuple(n if n in given else "" for n in padded))
