"""What a strategy can see and do, as tables.

The compiler (`lower.py`) and the Python view (`view`) both read them; neither knows more.
"""

import ast
from typing import NamedTuple

from kernelkit.kernels import layout as L

SERIES = {"open": L.C_OPEN_P, "high": L.C_HIGH_P, "low": L.C_LOW_P, "close": L.C_CLOSE_P, "volume": L.C_VOLUME}
PRICES = ("open", "high", "low", "close")
ATTRIBUTES = ("time", "i", "position", "cash", "equity", "orders")
# of a portfolio: what the account has, what an asset has, what is done with all assets at once
PORTFOLIO_ATTRIBUTES = ("time", "i", "n", "session", "cash", "equity", "orders")
ASSET_ATTRIBUTES = ("position", "tradable")
ACCOUNT_VERBS = ("weights", "rank", "cancel", "cancel_all", "oco")


class Rolling(NamedTuple):
    """A rolling indicator: its kernel functions for price and for float columns.

    Its first value comes after `n + late` bars; it keeps `words` of scratch, and a ring of n values with `ring`.
    """

    price: str
    other: str
    late: int
    words: int = 6
    ring: bool = False


ROLLING = {
    "sma": Rolling("sma_price", "sma_float", -1),
    "sum": Rolling("sum_price", "sum_float", -1),
    "ema": Rolling("ema", "ema", -1),
    "std": Rolling("std", "std", -1),
    "volatility": Rolling("volatility", "volatility", 0),
    "max": Rolling("max_of", "max_of", -1, ring=True),
    "min": Rolling("min_of", "min_of", -1, ring=True),
    "rsi": Rolling("rsi", "rsi", 0),
}
BAR_ROLLING = {"atr": Rolling("atr", "atr", -1), "vwap": Rolling("vwap", "vwap", -1)}  # of whole bars: ctx.atr(n)


class Verb(NamedTuple):
    """An order method: its verb, its parameters in call order, those that may be absent, the sign of the quantity."""

    code: int
    arguments: tuple[str, ...]
    optional: tuple[str, ...] = ()
    sign: int = 1
    tif: bool = True


VERBS = {
    "order": Verb(L.V_ORDER, ("quantity",)),
    "buy": Verb(L.V_ORDER, ("quantity",)),
    "sell": Verb(L.V_ORDER, ("quantity",), sign=-1),
    "limit": Verb(L.V_LIMIT, ("quantity", "price")),
    "stop": Verb(L.V_STOP, ("quantity", "price")),
    "stop_limit": Verb(L.V_STOP_LIMIT, ("quantity", "stop", "limit")),
    "trailing_stop": Verb(L.V_TRAIL, ("quantity", "trail", "fraction"), ("trail", "fraction")),
    "bracket": Verb(
        L.V_BRACKET,
        ("quantity", "stop", "limit", "stop_loss", "take_profit", "entry"),
        ("stop", "limit", "stop_loss", "take_profit", "entry"),
    ),
    "target": Verb(L.V_TARGET, ("quantity",), tif=False),
    "target_percent": Verb(L.V_WEIGHT, ("weight",), tif=False),
    "cancel": Verb(L.V_CANCEL, ("order_id",), tif=False),
    "cancel_all": Verb(L.V_CANCEL_ALL, (), tif=False),
    "oco": Verb(L.V_OCO, ("first", "second"), tif=False),
}
TIF = {"GTC": L.GTC, "DAY": L.DAY, "IOC": L.IOC, "FOK": L.FOK}
SIZERS = {"risk": ("fraction", "stop"), "notional": ("value",), "vol_target": ("volatility", "n")}
MODEL_FIELDS = tuple(n for n in L.MODEL.names if n != "slots")
FIRST_WORD = 2  # words 0 and 1 of a slot: the last value, and where in the panel the values of this trial lie
# What only debug mode takes, and what to write instead.
INSTEAD = {
    ast.Try: "compiled strategies cannot catch exceptions; test the condition before",
    ast.TryStar: "compiled strategies cannot catch exceptions; test the condition before",
    ast.With: "move what needs a context manager out of the strategy",
    ast.Lambda: "write a named helper function",
    ast.ListComp: "write a for loop over declared state (kk.ring)",
    ast.SetComp: "write a for loop",
    ast.DictComp: "write a for loop",
    ast.GeneratorExp: "write a for loop",
    ast.Dict: "use declared state, state=dict(name=0.0)",
    ast.Set: "use declared state, state=dict(name=0.0)",
    ast.List: "use declared state, kk.ring(n)",
    ast.JoinedStr: "use ctx.record(name, value) and read res[name]",
    ast.Global: "use declared state, state=dict(name=0.0)",
    ast.Nonlocal: "use declared state, state=dict(name=0.0)",
    ast.Yield: "return ends the decision; keep values in declared state",
    ast.YieldFrom: "return ends the decision; keep values in declared state",
    ast.Await: "strategies are synchronous",
    ast.ClassDef: "define it outside; a strategy computes with numbers",
    ast.FunctionDef: "define the helper at the top level of the cell",
    ast.AsyncFunctionDef: "define the helper at the top level of the cell",
    ast.NamedExpr: "assign on a line of its own",
    ast.Starred: "pass the arguments one by one",
    ast.Import: "import math or numpy at the top of the cell",
    ast.ImportFrom: "import from math or numpy at the top of the cell",
    ast.Delete: "set the value to 0.0 or nan",
}
