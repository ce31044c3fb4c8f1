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
ASSET_ATTRIBUTES = ("position", "tradable", "cash", "equity")
BY_ID = ("cancel", "oco", "replace")
ACCOUNT_VERBS = ("weights", "rank", "transfer", "cancel_all", *BY_ID)


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


TIF = {name: code for code, name in enumerate(L.TIFS)}
AUCTIONS = tuple(TIF)  # of market and limit orders; the others know no single moment
ORDINARY = ("GTC", "DAY", "GTD", "IOC", "FOK")
LIFE = ("tif", "expires", "reduce_only")
RESTING = (*LIFE, "post_only", "display")
TRAILS = ("trail", "fraction", "ticks", "bps")


class Verb(NamedTuple):
    """An order method: its verb, its parameters in call order, those that may be absent, the sign of the quantity.

    `tifs` are the times in force that it may be given, `takes` what else it may be told; `when` is its own time.
    """

    code: int
    arguments: tuple[str, ...]
    optional: tuple[str, ...] = ()
    sign: int = 1
    tifs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    when: str = ""


VERBS = {
    "order": Verb(L.V_ORDER, ("quantity",), tifs=AUCTIONS, takes=LIFE),
    "buy": Verb(L.V_ORDER, ("quantity",), tifs=AUCTIONS, takes=LIFE),
    "sell": Verb(L.V_ORDER, ("quantity",), sign=-1, tifs=AUCTIONS, takes=LIFE),
    "limit": Verb(L.V_LIMIT, ("quantity", "price"), tifs=AUCTIONS, takes=RESTING),
    "stop": Verb(L.V_STOP, ("quantity", "price"), tifs=ORDINARY, takes=LIFE),
    "stop_limit": Verb(L.V_STOP_LIMIT, ("quantity", "stop", "limit"), tifs=ORDINARY, takes=LIFE),
    "market_if_touched": Verb(L.V_TOUCHED, ("quantity", "trigger"), tifs=ORDINARY, takes=LIFE),
    "limit_if_touched": Verb(L.V_LIMIT_TOUCHED, ("quantity", "trigger", "limit"), tifs=ORDINARY, takes=LIFE),
    "market_on_open": Verb(L.V_ORDER, ("quantity",), takes=("reduce_only",), when="AT_OPEN"),
    "limit_on_open": Verb(L.V_LIMIT, ("quantity", "price"), takes=("reduce_only",), when="AT_OPEN"),
    "market_on_close": Verb(L.V_ORDER, ("quantity",), takes=("reduce_only",), when="AT_CLOSE"),
    "limit_on_close": Verb(L.V_LIMIT, ("quantity", "price"), takes=("reduce_only",), when="AT_CLOSE"),
    "trailing_stop": Verb(L.V_TRAIL, ("quantity", *TRAILS), TRAILS, tifs=ORDINARY, takes=LIFE),
    "trailing_stop_limit": Verb(L.V_TRAIL, ("quantity", "offset", *TRAILS), TRAILS, tifs=ORDINARY, takes=LIFE),
    "bracket": Verb(
        L.V_BRACKET,
        ("quantity", "stop", "limit", "stop_loss", "take_profit", "entry"),
        ("stop", "limit", "stop_loss", "take_profit", "entry"),
        tifs=AUCTIONS,
        takes=("tif", "expires", "post_only", "display"),
    ),
    "target": Verb(L.V_TARGET, ("quantity",)),
    "target_percent": Verb(L.V_WEIGHT, ("weight",)),
    "replace": Verb(L.V_REPLACE, ("order_id", "quantity", "price", "trigger"), ("quantity", "price", "trigger")),
    "cancel": Verb(L.V_CANCEL, ("order_id",)),
    "cancel_all": Verb(L.V_CANCEL_ALL, ()),
    "oco": Verb(L.V_OCO, ("first", "second")),
}
SIZERS = {"risk": ("fraction", "stop"), "notional": ("value",), "vol_target": ("volatility", "n")}
# what compiled code knows of the package: the numbers that an order's status and reason are compared with
CODES = {
    "Reason": {name.upper() or "NONE": code for code, name in enumerate(L.REASONS)},
    "Status": {name.upper(): code for code, name in enumerate(L.STATUSES)},
}
# what hooks are told (T7), by the fields of EVENT that it comes from; an asset is a portfolio's
FILL_FIELDS = {n: n for n in ("order", "asset", "time", "quantity", "price", "fee")}
ORDER_FIELDS = {"id": "order"} | {n: n for n in ("asset", "status", "reason", "quantity", "filled", "price")}
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
