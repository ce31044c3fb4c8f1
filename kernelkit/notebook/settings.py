"""From the options of a magic to the arguments of `kk.backtest` and `kk.audit`."""

from __future__ import annotations

import ast
import inspect
import keyword
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernelkit.batch import axis
from kernelkit.errors import OrderError, UsageError
from kernelkit.market import fees, slippage, venues
from kernelkit.market.account import Account
from kernelkit.market.fill_model import FillModel
from kernelkit.market.models import CostModel
from kernelkit.market.venue import Venue
from kernelkit.notebook.options import Given, nearest

if TYPE_CHECKING:
    import xarray as xr

    from kernelkit.strategy import Signal, Strategy

Namespace = Mapping[str, Any]

_CALL = re.compile(r"(\w+)\s*(?:\((.*)\))?\Z", re.DOTALL)
_DASHED = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def target(given: Given) -> str | None:
    """The variable that is to get the result."""
    name = given.values.get("into")
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise UsageError(f"--into {name}: wanted the name of a variable, as in --into res")
    return name


def bars(given: Given, namespace: Namespace) -> xr.Dataset:
    """The bars that --data names."""
    from kernelkit.data.catalog import names

    text = given.values.get("data")
    if text is None:
        raise UsageError(f"no --data; name a data set ({', '.join(names())}) or a variable, as in --data @bars")
    if text.startswith("@"):
        return variable(text, given.spelt("data"), namespace)  # type: ignore[no-any-return]  # the engine checks what it is
    if text not in names():
        hint = f"; did you mean the variable, --data @{text}?" if text in namespace else nearest(text, names())
        have = f"there are {', '.join(names())}, and @variable"
        raise UsageError(f"{given.spelt('data')}: no such data set{hint}; {have}")
    return _load(text)


@lru_cache(maxsize=2)
def _load(name: str) -> xr.Dataset:
    from kernelkit.data.catalog import load

    return load(name)


def variable(text: str, written: str, namespace: Namespace) -> Any:
    """The value of ``@name``, which stands in ``written``."""
    name = text[1:]
    if name not in namespace:
        hint = nearest(name, [n for n in namespace if not n.startswith("_")])
        raise UsageError(f"{written}: there is no variable {name!r}{hint}")
    return namespace[name]


def parameters(
    given: Given, found: Strategy | Signal, namespace: Namespace, *, needed: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scalars and axes of the strategy's parameters; where they are ``needed``, each has a value or a default."""
    known = found.defaults
    scalars: dict[str, Any] = {}
    axes: dict[str, Any] = {}
    for name, spec in given.params.items():
        if name not in known:
            have = f"it has {', '.join(known)}" if known else "it has none"
            raise UsageError(f"-p {name}: {found.name} has no such parameter{nearest(name, known)}; {have}")
        value = axis.parse(spec, name=f"-p {name}", namespace=namespace)
        if isinstance(value, str) and not isinstance(known[name], str) and (ends := _DASHED.fullmatch(value)):
            wanted = f"a range is start:stop:step, as in {ends[1]}:{ends[2]}:1"
            raise UsageError(f"-p {name}={spec}: {value!r} is text; {wanted}")
        (axes if isinstance(value, tuple) else scalars)[name] = value
    for name, default in known.items():
        if needed and default is inspect.Parameter.empty and name not in given.params:
            raise UsageError(f"parameter {name} of {found.name} has no value: write -p {name}=20 or -p {name}=10:50:10")
    return scalars, axes


def condition(given: Given, found: Strategy | Signal, values: Mapping[str, Any]) -> str | None:
    """The expression of --where, over parameters of the strategy alone; it is tried with some `values` of them."""
    text = given.values.get("where")
    if text is None:
        return None
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise UsageError(f"--where {text}: not an expression ({error.msg}); as in --where 'fast < slow'") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in found.defaults:
            names = ", ".join(found.defaults) or "none"
            hint = nearest(node.id, found.defaults)
            raise UsageError(f"--where {text}: {found.name} has no parameter {node.id!r}{hint}; there are {names}")
    try:
        eval(compile(tree, "--where", "eval"), {"__builtins__": {}}, dict(values))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        told = ", ".join(f"{name}={value!r}" for name, value in values.items())
        raise UsageError(f"--where {text}: {error}, for {told}") from None
    return text


def date(given: Given, name: str, index: Any) -> str | None:
    """The text of --start or --end, if the time axis understands it."""
    text = given.values.get(name)
    if text is not None:
        try:
            index.slice_indexer(text, None)
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"--{name} {text}: not a date; write it as 2008, 2008-09 or 2008-09-15") from None
    return text


def market(given: Given, namespace: Namespace) -> dict[str, Any]:
    """Account, venue and fill model, as keywords of `kk.backtest` and `kk.audit`."""
    return {
        "account": account(given),
        "venue": venue(given, namespace),
        "fill_model": fill_model(given, namespace),
    }


def account(given: Given) -> Account | None:
    """The account that --cash describes."""
    text = given.values.get("cash")
    if text is None:
        return None
    try:
        return Account(cash=float(text))
    except ValueError:
        # of float, and of Account, whose error is one too
        raise UsageError(f"{given.spelt('cash')}: wanted an amount above 0, as in --cash 100_000") from None


def venue(given: Given, namespace: Namespace) -> Venue | None:
    """The venue that --venue, or --fee and --slippage, describe."""
    costs = [name for name in ("fee", "slippage") if name in given.values]
    if "venue" in given.values and costs:
        said = " and ".join(given.spelt(name) for name in ("venue", *costs))
        raise UsageError(f"{said} exclude each other: a venue brings its own costs")
    if "venue" in given.values:
        return _made(given, "venue", venues, Venue, namespace)  # type: ignore[no-any-return]
    if not costs:
        return None
    models = {"fee": fees, "slippage": slippage}
    made = {name: _model(given, name, models[name], namespace) for name in costs}
    return Venue("own", made.get("fee"), made.get("slippage"))


def fill_model(given: Given, namespace: Namespace) -> Any:
    """The fill model, or the list of them, that --fill-model names."""
    text = given.values.get("fill-model")
    if text is None:
        return None
    names: Any = [name.strip() for name in text.split(",")]
    if text.startswith("@"):
        names = variable(text, given.spelt("fill-model"), namespace)
    try:
        models = FillModel.several(names)
    except OrderError as error:
        raise UsageError(f"{given.spelt('fill-model')}: {error}") from None
    return models if len(models) > 1 or (text.startswith("@") and isinstance(names, list | tuple)) else models[0]


def _model(given: Given, option: str, module: ModuleType, namespace: Namespace) -> CostModel | None:
    """A cost model; a plain number is a fraction, and 0 is none."""
    try:
        rate = float(given.values[option])
    except ValueError:
        return _made(given, option, module, CostModel, namespace)  # type: ignore[no-any-return]
    return module.fraction(rate) if rate else None


def _made(given: Given, option: str, module: ModuleType, kind: type, namespace: Namespace) -> Any:
    """What ``name``, ``name(1, b=2)`` or ``@variable`` stands for."""
    text, written = given.values[option], given.spelt(option)
    if text.startswith("@"):
        value = variable(text, written, namespace)
        if not isinstance(value, kind):
            raise UsageError(f"{written}: it is a {type(value).__name__}, wanted a {kind.__name__}")
        return value
    found = _CALL.match(text)
    offered = makers(module)
    if found is None or found[1] not in offered:
        hint = nearest(found[1], offered) if found else ""
        number = "" if module is venues else "a number, "
        raise UsageError(f"{written}: unknown{hint}; wanted {number}{', '.join(offered)} or @variable")
    try:
        args, kwargs = _arguments(found[2] or "")
        return offered[found[1]](*args, **kwargs)
    except (TypeError, ValueError, SyntaxError) as error:
        raise UsageError(f"{written}: {error}") from None


def makers(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions of a module that make its models or venues.

    >>> list(makers(fees))[:3]
    ['fraction', 'per_unit', 'fixed']
    """
    own = {name: value for name, value in vars(module).items() if not name.startswith("_") and callable(value)}
    return {name: value for name, value in own.items() if value.__module__ == module.__name__}


def _arguments(text: str) -> tuple[list[Any], dict[str, Any]]:
    call = ast.parse(f"_({text})", mode="eval").body
    # `name(1)(2)` is a call too, of what another call returned
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise SyntaxError("not a list of values between one pair of brackets")
    return [_literal(node) for node in call.args], {word.arg or "": _literal(word.value) for word in call.keywords}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise ValueError(
            f"{ast.unparse(node)} is not a plain value; a model of your own is given as @variable"
        ) from None


def client(given: Given, namespace: Namespace) -> Any:
    """The cluster's address, or the Client that a variable holds."""
    text = given.values.get("client")
    if text is not None and text.startswith("@"):
        return variable(text, given.spelt("client"), namespace)
    return text
