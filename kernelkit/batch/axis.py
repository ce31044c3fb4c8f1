"""The axis grammar of `%%backtest -p name=SPEC` and `kernelkit run -p name=SPEC`.

5            one value: int, float, true/false, text ('quoted' where it holds a comma or a colon)
5:50:5       5, 10, ..., 50: the end is included when the steps reach it
5,10,20      these values (a lone trailing comma makes an axis of one)
log(1,100,3) n values in equal ratios, both ends included; whole ones of whole ends stay ints
@name        a variable of the notebook
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
import shlex
from collections.abc import Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from kernelkit.errors import UsageError

Value = bool | int | float | str

# An axis is a dim of a Dataset: more values than this is a typing error, found before the memory is gone.
MAX_VALUES = 1_000_000

_DIGITS = r"[0-9]+(?:_[0-9]+)*"
_INT = re.compile(rf"[+-]?{_DIGITS}\Z")
_FLOAT = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?\Z")
_CALL = re.compile(r"(\w+)\s*\((.*)\)\Z", re.DOTALL)
# a quote opens at the start of an item only: O'Neil is a name
_QUOTED = re.compile(r"""(^|,)(\s*)('[^']*'|"[^"]*")""")
_OPEN_QUOTE = re.compile(r"""(^|,)\s*['"]""")
# what shlex takes for a word, with its quotes
_WORD = re.compile(r"""(?:\\.|[^\s'"\\]|'[^']*'|"(?:\\.|[^"\\])*")+""", re.DOTALL)
# a slip in a number, or the syntax of another tool; text that means it is quoted
_STRAY = re.compile(r"[][(){}$;=]")
_BOOLS = {"true": True, "True": True, "false": False, "False": False}


def parse(
    spec: str, *, name: str = "", namespace: Mapping[str, object] | None = None, most: int = MAX_VALUES
) -> Value | tuple[Value, ...]:
    """One value for a scalar spec, a tuple for an axis; UsageError says what is wrong and what would be right.

    `name` is the parameter the message is about, `namespace` holds the variables that `@variable` may name, `most` is
    how many values a range may have.

    >>> parse("5:20:5"), parse("0.1"), parse("0:0.3:0.1"), parse("log(1,100,3)")
    ((5, 10, 15, 20), 0.1, (0.0, 0.1, 0.2, 0.3), (1, 10, 100))
    """
    where = f"{name}={spec}" if name else repr(spec)
    try:
        return _parse(spec.strip(), namespace, most)
    except _Wrong as wrong:
        raise UsageError(f"{where}: {wrong}") from None


def grid(text: str, *, namespace: Mapping[str, object] | None = None) -> dict[str, Value | tuple[Value, ...]]:
    """Parameters, one for each part between semicolons, each ``name=`` and what `parse` reads; UsageError as there.

    >>> grid("fast=5:15:5; slow=60,100")
    {'fast': (5, 10, 15), 'slow': (60, 100)}
    """
    return {name: parse(spec, name=name, namespace=namespace) for name, spec in _parts(text).items()}


def _parts(text: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, spec = (word.strip() for word in part.partition("="))
        if not equals or not name.isidentifier():
            raise UsageError(f"{part!r}: a parameter is name=values; several are parted by semicolons")
        if name in out:
            raise UsageError(f"{name}: stands twice in {text!r}")
        out[name] = spec
    return out


def space(text: str) -> tuple[dict[str, Any], dict[str, Value]]:
    """What `kk.search` searches, and what is one value, by the parts between semicolons, each ``name=`` and values.

    ``5:50`` is every whole number from 5 to 50, ``0.1:2`` every number, all else what `parse` reads: ``5:50:5`` and
    ``1,2,4`` are these values.

    >>> found, fixed = space("fast=5:15:5; weight=0.2:1; n=5:9; slow=100")
    >>> [found[n].ends for n in found], fixed
    ([(5, 15), (0.2, 1.0), (5, 9)], {'slow': 100})
    """
    from kernelkit.study.spaces import choice, integer, real

    out: dict[str, Any] = {}
    fixed: dict[str, Value] = {}
    for name, spec in _parts(text).items():
        low, _, high = spec.partition(":")
        if _is_number(low.strip()) and _is_number(high.strip()):
            ends = _INT.match(low.strip()) and _INT.match(high.strip())
            out[name] = integer(int(low), int(high)) if ends else real(float(low), float(high))
            continue
        found = parse(spec, name=name)
        if not isinstance(found, tuple) or len(found) == 1:
            fixed[name] = found[0] if isinstance(found, tuple) else found
        else:
            out[name] = choice(list(found))
            whole = [v for v in found if type(v) is int]
            if ":" in _unquoted(spec) and len(whole) == len(found):
                out[name] = integer(min(whole), max(whole), step=abs(whole[1] - whole[0]))
    return out, fixed


def calls(text: str) -> dict[str, tuple[str, dict[str, Value]]]:
    """Names with parameters, parted by semicolons, each a name and ``parameter=value`` behind it, by their own text.

    A value in quotes is text, as ``kind="10"``.

    >>> calls("sma_cross fast=20 slow=100; buy_and_hold")
    {'sma_cross fast=20 slow=100': ('sma_cross', {'fast': 20, 'slow': 100}), 'buy_and_hold': ('buy_and_hold', {})}
    """
    out: dict[str, tuple[str, dict[str, Value]]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        try:
            name, *words = shlex.split(part)  # a file's path may hold a blank
            _, *spelt = _WORD.findall(part)
        except ValueError as error:
            raise UsageError(f"{part!r}: {str(error).lower()}") from None
        label, values = " ".join(part.split()), dict[str, Value]()
        for word, own in zip(words, spelt, strict=True):
            parameter, equals, spec = word.partition("=")
            if not equals or not parameter.isidentifier() or parameter in values:
                raise UsageError(f"{part!r}: a name is followed by parameter=value, each once; this has {word!r}")
            quoted = own.removeprefix(f"{parameter}=")
            found = spec if quoted[:1] in ("'", '"') and quoted != own else parse(spec, name=parameter)
            if isinstance(found, tuple):
                raise UsageError(f"{part!r}: {word} is an axis; wanted one value")
            values[parameter] = found
        if label in out:
            raise UsageError(f"{label!r} stands twice in {text!r}")
        out[label] = name, values
    return out


class _Wrong(UsageError):
    """What is wrong with a spec; `parse` puts the spec in front."""


def _parse(text: str, namespace: Mapping[str, object] | None, most: int) -> Value | tuple[Value, ...]:
    if not text:
        raise _Wrong("no value; write one value, start:stop:step, v1,v2, log(lo,hi,n) or @variable")
    if text.startswith("@"):
        return _variable(text[1:], namespace)
    call = _CALL.match(text)
    if call:
        return _function(call[1], call[2], most)
    items = split_list(text)
    if len(items) > 1:
        if not items[-1]:
            items.pop()
        return _checked([_item(item) for item in items])
    if ":" in _unquoted(text):
        return _range(text, most)
    return scalar(text)


def scalar(text: str) -> Value:
    """The value that `text` spells: an int, a float, true or false, else text without its quotes.

    >>> scalar("20"), scalar("2e1"), scalar("true"), scalar("SPY"), scalar("'20'")
    (20, 20.0, True, 'SPY', '20')
    """
    text = text.strip()
    if _is_number(text):
        return _int64(int(text)) if _INT.match(text) else _finite(float(text), text)
    if text in _BOOLS:
        return _BOOLS[text]
    if text.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        raise _Wrong(f"{text} is not a value a parameter can have; quote it if it is text")
    plain = unquote(text)
    if plain == text and _STRAY.search(text):
        raise _Wrong(f"{text} is no number and no axis; quote it if it is text")
    return plain


def unquote(text: str) -> str:
    """`text` without the quotes around it, if there are any.

    >>> unquote("'a,b'"), unquote("a")
    ('a,b', 'a')
    """
    return text[1:-1] if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0] else text


def split_list(text: str) -> list[str]:
    """The items between the commas that stand outside quotes, stripped.

    >>> split_list("1, 'a,b',")
    ['1', "'a,b'", '']
    """
    plain = _unquoted(text)
    cuts = [-1, *(i for i, c in enumerate(plain) if c == ","), len(text)]
    return [text[a + 1 : b].strip() for a, b in itertools.pairwise(cuts)]


def _unquoted(text: str) -> str:
    """`text` with everything inside quotes blanked, same length; _Wrong for an open quote."""
    blank = _QUOTED.sub(lambda m: m[1] + " " * (len(m[0]) - len(m[1])), text)
    if _OPEN_QUOTE.search(blank):
        raise _Wrong("a quote is opened and not closed")
    return blank


def _is_number(text: str) -> bool:
    """Whether `text` spells a number; _Wrong for one too long or too large for exact arithmetic."""
    if not _FLOAT.match(text):
        return False
    if len(text) > 400 or abs(Decimal(text).adjusted()) > 400:
        raise _Wrong(f"{text[:40]} is out of the range of numbers")
    return True


def _item(text: str) -> Value:
    if not text:
        raise _Wrong("there is nothing between two commas")
    if text.startswith("@") or _CALL.match(text) or ":" in _unquoted(text):
        raise _Wrong(f"{text!r} cannot stand in a list; a list holds plain values")
    return scalar(text)


def _range(text: str, most: int) -> tuple[Value, ...]:
    parts = [part.strip() for part in text.split(":")]
    if not all(_is_number(part) for part in parts):
        raise _Wrong(f"a range start:stop:step is made of numbers; quote the value if it is text: '{text}'")
    if len(parts) != 3:
        raise _Wrong(f"a range is start:stop:step, three numbers; this has {len(parts)}")
    # exact rational steps: no rounding error accumulates, and 0:1:0.1 gives the floats nearest to 0.1, 0.2, 0.3 ...
    start, stop, step = (Fraction(part) for part in parts)
    if step == 0:
        raise _Wrong("the step is 0")
    count = math.floor((stop - start) / step) + 1
    if count < 1:
        raise _Wrong(f"empty: {parts[0]} to {parts[1]} cannot be reached in steps of {parts[2]}")
    _limit(count, most)
    values = [start + k * step for k in range(count)]
    if all(_INT.match(part) for part in parts):
        return tuple(_int64(int(value)) for value in values)
    return _checked([_finite(float(value), text) for value in values])


def _function(function: str, arguments: str, most: int) -> tuple[Value, ...]:
    if function != "log":
        raise _Wrong(f"unknown function {function!r}; the only one is log(lo,hi,n)")
    parts = split_list(arguments)
    if len(parts) != 3 or not all(_is_number(part) for part in parts[:2]) or not _INT.match(parts[2]):
        raise _Wrong("log takes two numbers and a count, as in log(0.001,0.1,3)")
    lo, hi, count = Decimal(parts[0]), Decimal(parts[1]), int(parts[2])
    if lo <= 0 or hi <= 0:
        raise _Wrong("log takes numbers above 0")
    if lo == hi or count < 2:
        raise _Wrong("log takes two different ends and at least 2 values")
    _limit(count, most)
    # 40 digits, rounded once: log(1e-4,1e-1,4) then holds 0.001 itself and not its neighbour
    with localcontext(prec=40):
        inner = [lo * (hi / lo) ** (Decimal(k) / (count - 1)) for k in range(1, count - 1)]
        whole = all(abs(value - value.to_integral_value()) <= value.scaleb(-30) for value in (lo, *inner, hi))
    if whole and _INT.match(parts[0]) and _INT.match(parts[1]):
        # a window is a whole number of bars: log(10,1000,3) has to be an axis of windows
        return _checked([_int64(round(value)) for value in (lo, *inner, hi)])
    return _checked([_finite(float(value), f"log({arguments})") for value in (lo, *inner, hi)])


def _variable(name: str, namespace: Mapping[str, object] | None) -> Value | tuple[Value, ...]:
    if not name.isidentifier():
        raise _Wrong("@ is followed by the name of a variable")
    if namespace is None:
        raise _Wrong("@variable works in a notebook only; write the values")
    if name not in namespace:
        close = difflib.get_close_matches(name, [n for n in namespace if not n.startswith("_")], 1)
        raise _Wrong(f"there is no variable {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
    return _values_of(namespace[name])


def values_of(found: object, what: str) -> Value | tuple[Value, ...]:
    """A Python scalar, or a tuple of them from a list, range or one-dimensional array; UsageError for anything else.

    >>> values_of(range(3), "it")
    (0, 1, 2)
    """
    try:
        return _values_of(found)
    except _Wrong as wrong:
        raise UsageError(f"{what}: {wrong}") from None


def _values_of(found: object) -> Value | tuple[Value, ...]:
    plain = _tolist(found)
    if isinstance(plain, list | tuple | range):
        _limit(len(plain), MAX_VALUES)
        return _checked([_native(value) for value in plain])
    return _native(plain)


def _tolist(found: object) -> object:
    # numpy, pandas and xarray all spell it tolist; a DataArray is reached through its values
    array = getattr(found, "values", found)
    tolist = getattr(array, "tolist", None)
    if getattr(getattr(array, "dtype", None), "kind", "") in ("m", "M"):
        raise _Wrong("it holds times; wanted int, float, bool, text or a flat sequence of them")
    return tolist() if callable(tolist) else found


def _native(value: object) -> Value:
    value = _tolist(value)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return _int64(value)
    if isinstance(value, float):
        return _finite(value, str(value))
    raise _Wrong(f"it holds {type(value).__name__}; wanted int, float, bool, text or a flat sequence of them")


def _checked(values: list[Value]) -> tuple[Value, ...]:
    """One type for the whole axis (ints beside floats become floats), no value twice."""
    if not values:
        raise _Wrong("no values")
    kinds = {type(value) for value in values}
    if kinds == {int, float}:
        values = [float(value) for value in values]
    elif len(kinds) > 1:
        names = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise _Wrong(f"an axis has one type of value, this mixes {names}")
    seen: set[Value] = set()
    for value in values:
        if value in seen:
            raise _Wrong(f"{value!r} stands there twice")
        seen.add(value)
    return tuple(values)


def _limit(count: int, most: int) -> None:
    if count > most:
        raise _Wrong(f"more than {most:,} values, the most it may have")


def _int64(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise _Wrong(f"{value} does not fit into 64 bits")
    return value


def _finite(value: float, text: str) -> float:
    if not math.isfinite(value):
        raise _Wrong(f"{text} is not a finite number")
    return value
