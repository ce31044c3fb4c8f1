"""What lowered code stands on: its imports, its tools, and cost models as text."""

import ast
import copy
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence

from kernelkit.errors import StrategyError, message
from kernelkit.kernels import coast, higher, indicators, reach
from kernelkit.kernels import layout as L
from kernelkit.kernels.context import MODEL_FIELDS
from kernelkit.kernels.flow import may_raise, of_numbers, root, unassigned
from kernelkit.kernels.source import Source, emit


def offset(record, name: str) -> int:
    """Byte offset of a record's field.

    >>> offset(L.ORDER, "asset")
    8
    """
    return int(record.fields[name][1])


# What stands for ctx in lowered code: the frame, the bar, what `coast` knows of the account, where prices lie.
HERE = "frame, _i, _state, _account, _positions, _cash, _held, _mark, _close, _open"
HOOK = "_own_hook_"  # what their functions are called, with a number; the main one of a strategy that has them is one
PRELUDE = """from math import sqrt
from kernelkit.kernels.machine import at, bits, call, call_act, call_steer, call_weigh, f8, i8, prefetch, put_f8
from kernelkit.kernels.machine import put_i8, rarely, unbits
from kernelkit.kernels.layout import *
NAN = float('nan')
INF = float('inf')
"""
TOOLS = {
    "past": f"""
def past(frame: int, c: int, k: int) -> float:
    i = i8(frame + {offset(L.FRAME, "i")}) + k
    if k > 0:
        if i8(frame + {offset(L.FRAME, "error")}) == 0:
            put_i8(frame + {offset(L.FRAME, "error_arg")}, k)
        fail(frame, {L.LOOKAHEAD})
        return NAN
    if i < 0:
        return NAN
    return f8(column_at(frame, c, i))
""",
    "ring_at": """
def ring_at(place: int, n: int, k: int) -> float:
    count = i8(place)
    if k > 0 or -k >= min(count, n):
        return NAN
    return f8(place + 8 + 8 * ((count - 1 + k) % n))
""",
    "ring_push": """
def ring_push(place: int, n: int, value: float) -> None:
    count = i8(place)
    put_f8(place + 8 + 8 * (count % n), value)
    put_i8(place, count + 1)
""",
    "record": f"""
def record(frame: int, k: int, value: float) -> int:
    rows = i8(frame + {offset(L.FRAME, "records")})
    if rows != 0:
        row = i8(frame + {offset(L.FRAME, "i")}) - i8(frame + {offset(L.FRAME, "curve_0")})
        step = i8(frame + {offset(L.FRAME, "curve_step")})
        if row % step == 0:
            put_f8(rows + 8 * ((row // step) * i8(frame + {offset(L.FRAME, "n_record")}) + k), value)
    return 0
""",
    # O11: an instant travels as the bits of a number; 0 is none
    "instant": """
def instant(ns):
    return unbits(int(ns) if ns == ns and abs(ns) < 9.2e18 else 0)
""",
    # the common case, nothing to do, is decided here; the rest is one call into the engine
    "aim": f"""
def aim(
    frame: int, i: int, state: int, account: int, positions: int, cash: float, held: float,
    mark_at: int, close_at: int, open_at: int, verb: int, wish: float
) -> int:
    prefetch(open_at + 8 * (i + {L.AHEAD}))
    if i8(state + {offset(L.HEADER, "n_live")}) == 0:
        lots = i8(positions)
        if verb == {L.V_TARGET}:
            if wish == f8(positions + {offset(L.POSITION, "quantity")}):
                return 0
        elif lots == 0:
            if wish == 0.0:
                return 0
        elif wish != 0.0 and (wish > 0.0) == (lots > 0):
            mark = f8(mark_at + 8 * i)
            equity = cash + mark * held
            band = f8(i8(frame + {offset(L.FRAME, "venue")}) + {offset(L.VENUE, "band")})
            gap = wish * equity - abs(mark) * held
            # S3, with room for the rounding of S2; a rebate would make the trade larger than the gap
            rebates = i8(i8(frame + {offset(L.FRAME, "venue")}) + {offset(L.VENUE, "rebates")})
            if abs(gap) < band * {1 - 1e-9!r} * equity and rebates == 0:
                return 0
    put_f8(account + {offset(L.ACCOUNT, "equity")}, cash + f8(mark_at + 8 * i) * held)
    return call_steer(i8(frame + {offset(L.FRAME, "steer")}), frame, verb, wish)
""",
    "order": f"""
def order(
    frame: int, account: int, equity: float,
    verb: int, tif: int, q: float, a: float, b: float, c: float, d: float, e: float
) -> int:
    put_f8(account + {offset(L.ACCOUNT, "equity")}, equity)
    return call_act(i8(frame + {offset(L.FRAME, "act")}), frame, verb, tif, q, a, b, c, d, e)
""",
}

# A table of a cost model, by index as in Python; NaN beyond its ends stops the trial (C6).
TABLE_AT = """
def table_at(place: int, n: int, i: int) -> float:
    if i < 0:
        i += n
    if i < 0 or i >= n:
        return NAN
    return f8(place + 8 * i)
"""
SIZE = "__size__"

# Compiled code answers 0 where Python raises, or infinity. A division by 0.0 is infinity in debug mode too.
for _name, _operator, _both in (
    ("floor_div", "//", "isinstance(a, int) and "),
    ("modulo", "%", "isinstance(a, int) and "),
    ("true_div", "/", ""),
):
    TOOLS[_name] = f"""
def {_name}(frame, a, b):
    if b == 0 and {_both}isinstance(b, int):
        if frame == 0:
            raise ZeroDivisionError("division by zero")
        fail(frame, {L.RAISED})
        return 0
    return a {_operator} b
"""

# What compiled code makes of NaN as a whole number is nobody's guess, and may leave the memory it may read.
TOOLS["whole"] = f"""
def whole(frame, x):
    if isinstance(x, float) and not abs(x) < 9.2e18:
        if frame == 0:
            raise ValueError("cannot convert to an integer")
        fail(frame, {L.RAISED})
        return 0
    return int(x)
"""

# Names that generated text uses itself; a user's variable of such a name gets a tail.
GENERATED = {
    *vars(indicators),
    *vars(coast),
    *vars(reach),
    *vars(higher),
    *vars(L),
    *TOOLS,
    *"table_at fail prefetch frame model entry call_act call_steer put_i8 bits unbits INF EACH".split(),
    *"events_of forget_events".split(),
}
RESERVED = r"_[sivpafe]\d*|_higher_\d+|_state|_account|_positions|_panel|_cash|_held|_mark|_close|_open|_own_\w+"
TAIL = "__user__"


def safe(name: str) -> str:
    """A user's name as generated text may hold it.

    >>> safe("fast"), safe("rsi")
    ('fast', 'rsi__user__')
    """
    return name + TAIL if name in GENERATED or re.fullmatch(RESERVED, name) else name


def reads(text: str | None, field: str) -> bool:
    """Whether a cost model reads this field of MODEL: those of layout.READS and time cost something to provide."""
    return text is not None and f"(model + {offset(L.MODEL, field)})" in text


def model_text(
    source: Source, argument: str, params: list[str], imports: Mapping[str, str], tables: Collection[str] = ()
) -> str:
    """A fee or slippage model `f(m, *params)` as the text of a module whose `entry(model)` the engine can call.

    `m.field` becomes a load from the MODEL record, a parameter one from its slots, an exception NaN. `imports` says
    where its names of math and numpy come from, `tables` which parameters are rows of numbers. Raises StrategyError
    for a field that a model does not see, and for a table that is used but by index and `len`.
    """
    unset = unassigned(source.tree)
    if unset is not None:
        source.refuse(unset, "a variable that may have no value here", "give it one before the branch that sets it")

    def tabled(node: ast.AST) -> bool:
        """`table[i]` or `len(table)`."""
        inner = node.value if isinstance(node, ast.Subscript) else None
        if isinstance(node, ast.Call) and root(node.func) == "len" and len(node.args) == 1:
            inner = node.args[0]
        return isinstance(inner, ast.Name) and inner.id in tables

    risky = any(may_raise(n) and not tabled(n) for n in ast.walk(source.tree))

    class Fields(ast.NodeTransformer):
        """Rewrites what the model reads."""

        def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
            if not (isinstance(node.value, ast.Name) and node.value.id == argument):
                return self.generic_visit(node)
            if node.attr not in MODEL_FIELDS:
                source.refuse(node, f"a model's view has no `{node.attr}`", f"it has {', '.join(MODEL_FIELDS)}")
            load = "i8" if node.attr == "time" else "f8"
            return ast.parse(f"{load}(model + {offset(L.MODEL, node.attr)})", mode="eval").body

        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            if not (tabled(node) and isinstance(node.value, ast.Name)):
                return self.generic_visit(node)
            name = safe(node.value.id)
            text = f"table_at({name}, {name}{SIZE}, {ast.unparse(self.visit(node.slice))})"
            return ast.copy_location(ast.parse(text, mode="eval").body, node)

        def visit_Call(self, node: ast.Call) -> ast.AST:
            if tabled(node) and isinstance(node.args[0], ast.Name):
                return ast.copy_location(ast.Name(safe(node.args[0].id) + SIZE, ast.Load()), node)
            if root(node.func) in imports and isinstance(node.func, ast.Attribute) and not of_numbers(node.func):
                source.refuse(node, "a function of more than numbers", "use those of math, or of numpy on one number")
            return self.generic_visit(node)

        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id in tables:
                source.refuse(node, f"`{node.id}` is a table of numbers", f"{node.id}[i] and len({node.id}) read it")
            return ast.copy_location(ast.Name(safe(node.id), node.ctx), node)

        def visit_Raise(self, node: ast.Raise) -> ast.AST:
            """An exception has nowhere to go from here: NaN stops the trial (C6)."""
            return ast.copy_location(ast.Return(ast.copy_location(ast.Name("NAN", ast.Load()), node)), node)

        def visit_Assert(self, node: ast.Assert) -> ast.AST:
            """The same for a condition that does not hold."""
            test = ast.UnaryOp(ast.Not(), self.visit(node.test))
            return ast.copy_location(ast.If(test, [self.visit_Raise(ast.copy_location(ast.Raise(), node))], []), node)

    body = [ast.fix_missing_locations(Fields().visit(n)) for n in copy.deepcopy(source.tree.body)]
    slots, k, lines = f"i8(model + {offset(L.MODEL, 'slots')})", 0, []
    for p in params:
        if p in tables:
            lines.append(f"    {safe(p)} = {slots} + 8 * int(f8({slots} + {8 * k}))")
            lines.append(f"    {safe(p)}{SIZE} = int(f8({slots} + {8 * k + 8}))")
        else:
            lines.append(f"    {safe(p)} = f8({slots} + {8 * k})")
        k += 2 if p in tables else 1
    if risky:
        lines += ["    try:", *emit(source, body, 2), "    except Exception:", "        return NAN"]
    else:
        lines += emit(source, body)
    heads = [f"{text} as {safe(name)}" for name, text in imports.items()]
    helper = [TABLE_AT] if tables else []
    return "\n".join([PRELUDE, *heads, *helper, "def entry(model: int) -> float:", *lines]) + "\n"


def total_text(texts: Sequence[str]) -> str:
    """Models as one that answers with their sum; its slots begin with the places at which those of each begin.

    Raises StrategyError where two of them call different things by one name.
    """
    slots, heads, parts = offset(L.MODEL, "slots"), {}, []
    lines = ["def entry(model: int) -> float:", f"    slots = i8(model + {slots})"]
    for k, text in enumerate(texts):
        for line in text.removeprefix(PRELUDE).splitlines():
            name = line.rpartition(" as ")[2]
            if re.match(r"(import|from) ", line) and heads.setdefault(name, line) != line:
                found, fix = f"{heads[name]}, and {line}", "Give one of them another name."
                raise StrategyError(message(f"`{name}` of the models that are added", found, "one meaning", fix))
        parts.append(text.removeprefix(PRELUDE).replace("def entry(model: int)", f"def part_{k}(model: int)"))
        lines.append(f"    put_i8(model + {slots}, slots + 8 * int(f8(slots + {8 * k})))")
        lines.append(f"    total = {f'total + part_{k}' if k else 'part_0'}(model)")
    return "\n".join([PRELUDE, *parts, *lines, f"    put_i8(model + {slots}, slots)", "    return total"]) + "\n"


def during_text(text: str) -> str:
    """A model as one whose answer is multiplied: by its slot 0 from the time in slot 2 up to that in slot 3.

    Outside by slot 1; the slots of the model itself come after these four. Models in it have names of their
    own, so that several may be added.
    """
    slots, body = offset(L.MODEL, "slots"), text.removeprefix(PRELUDE)
    name = f"part_{hashlib.sha256(body.encode()).hexdigest()[:16]}"
    lines = [
        "def entry(model: int) -> float:",
        f"    slots = i8(model + {slots})",
        f"    put_i8(model + {slots}, slots + 32)",
        f"    answer = {name}(model)",
        f"    put_i8(model + {slots}, slots)",
        f"    time = i8(model + {offset(L.MODEL, 'time')})",
        "    if f8(slots + 16) <= time and time < f8(slots + 24):",
        "        return answer * f8(slots)",
        "    return answer * f8(slots + 8)",
    ]
    return "\n".join([PRELUDE, body.replace("def entry(model: int)", f"def {name}(model: int)"), *lines]) + "\n"
