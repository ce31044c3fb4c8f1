"""From a strategy's source to the source that is compiled: `ctx` and state become loads, stores and calls by address.

A strategy may use what `context.py` lists and plain arithmetic. Anything else is refused here, with its line and what
to write instead.
"""

import ast
import difflib
from typing import NoReturn

from kernelkit.kernels import layout as L
from kernelkit.kernels.context import (
    ATTRIBUTES,
    BAR_ROLLING,
    CODES,
    FIRST_WORD,
    INSTEAD,
    PRICES,
    ROLLING,
    SERIES,
    SIZERS,
    VERBS,
    Rolling,
)
from kernelkit.kernels.flow import PYTHON, Kinds, defined_twice, may_raise, of_numbers, root, unassigned
from kernelkit.kernels.plan import Plan, Ring, Site
from kernelkit.kernels.source import Source
from kernelkit.kernels.timeframe import Timeframes
from kernelkit.kernels.tools import HERE, offset, safe
from kernelkit.kernels.verbs import SETTINGS, order_of, refusal

DIVISIONS: dict[type, str] = {ast.Div: "true_div", ast.FloorDiv: "floor_div", ast.Mod: "modulo"}
LOADS = {int: "i8", float: "f8", bool: "i8"}
STORES = {int: "put_i8", float: "put_f8", bool: "put_i8"}
# As `coast` computes them.
CLOSE = "f8(_close + 8 * _i)"
EQUITY = "(_cash + f8(_mark + 8 * _i) * _held)"
# What a result has besides records.
RESULT = {
    *(*L.HEADLINE, *L.CURVES, "drawdown", "blocks", "total_return_spread", "total_return_at_zero"),
    *("block", "summary", "time", "asset", "fill_model", "venue", *L.ACCOUNT_CURVES),
}


class Lowering(Timeframes):
    """Rewrites one function. `ctx` and `s` are the names of its context and state arguments (None: it has none).

    `params` are those of the strategy's parameters that it takes (None: all).
    """

    event: str | None = None  # of a hook, its argument that says what has happened
    # what stands for ctx in a helper's call, for the account's equity, for how many of its orders live, for where
    # declared state lies; the function that keeps a record
    here = HERE
    equity = EQUITY
    live = f"i8(_state + {offset(L.HEADER, 'n_live')})"
    state_at = "_s"
    recorder = "record"

    def __init__(
        self,
        source: Source,
        plan: Plan,
        ctx: str | None,
        s: str | None,
        names: dict[str, str],
        depth: int = 0,
        params: tuple[str, ...] | None = None,
    ) -> None:
        self.source, self.plan, self.ctx, self.s, self.names, self.depth = source, plan, ctx, s, names, depth
        self.loops = 0
        self.params = {n: t for n, t in plan.params.items() if params is None or n in params}
        floats = {n for n, t in self.params.items() if t is float}
        if depth and s is not None:  # of an own indicator, the value that it is given
            floats.add(source.tree.args.args[1].arg)
        self.kinds = Kinds(source.tree, floats, ctx, s, plan.state, self.event)
        for name in PYTHON & set(names):
            self.cannot_compile(source.tree, f"a global called `{name}`", "call it otherwise")
        if twice := defined_twice(names):
            source.refuse(source.tree, f"two indicators defined as `{twice}`", "define each under a name of its own")
        if unset := unassigned(source.tree):
            self.cannot_compile(
                unset, "a variable that may have no value here", "give it one before the branch or loop that sets it"
            )

    def expression(self, text: str, node: ast.AST) -> ast.expr:
        """Parse generated text, carrying the user's line along."""
        new = ast.parse(text, mode="eval").body
        for inner in ast.walk(new):
            ast.copy_location(inner, node)
        return new

    def text(self, node: ast.AST) -> str:
        """Lower a sub-expression and return it as text."""
        return ast.unparse(self.visit(node))

    def is_ctx(self, node: ast.AST) -> bool:
        """Whether node is the name of the context."""
        return isinstance(node, ast.Name) and node.id == self.ctx

    def is_state(self, node: ast.AST) -> bool:
        """Whether node is the name of the declared state."""
        return isinstance(node, ast.Name) and node.id == self.s

    def attribute_of_ctx(self, node: ast.AST) -> str | None:
        """`name` when node is `ctx.name`."""
        return node.attr if isinstance(node, ast.Attribute) and self.is_ctx(node.value) else None

    def column(self, node: ast.AST) -> int | None:
        """The column of `ctx.close` or `ctx.x.name`, None for anything else."""
        name = self.attribute_of_ctx(node)
        if name in SERIES:
            return SERIES[name]
        if isinstance(node, ast.Attribute) and self.attribute_of_ctx(node.value) == "x":
            return self.feature(node.attr)
        if isinstance(node, ast.Attribute) and node.attr in SERIES and self.timeframe(node.value) >= 0:
            return SERIES[node.attr]
        return None

    def feature(self, name: str) -> int:
        """The column of a feature."""
        if name not in self.plan.features:
            self.plan.features.append(name)
        return L.FIRST_FEATURE + 2 * self.plan.features.index(name)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Note what cannot be compiled (debug mode takes it); visit the parts."""
        for kind, instead in INSTEAD.items():
            if isinstance(node, kind):
                self.cannot_compile(node, kind.__name__, instead)
        self.plan.raises = self.plan.raises or may_raise(node)
        return super().generic_visit(node)

    def cannot_compile(self, node: ast.AST, what: str, instead: str) -> None:
        """The first such thing is what the error will name, should the strategy be compiled."""
        note = self.source.refusal(node, f"{what} cannot be compiled", f"{instead}, or run with debug=True")
        self.plan.uncompilable = self.plan.uncompilable or note

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        """Arithmetic where compiled code departs from Python: `2 ** -1` is no integer, `1.0 / i` raises for 0."""
        node = self.generic_visit(node)
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant):
            node.right = ast.copy_location(ast.BinOp(node.right, ast.Mult(), ast.Constant(1.0)), node)
        if type(node.op) in DIVISIONS and not (isinstance(node.right, ast.Constant) and node.right.value):
            tool = DIVISIONS[type(node.op)]
            return self.checked(tool, f"{ast.unparse(node.left)}, {ast.unparse(node.right)}", node)
        return node

    def checked(self, tool: str, arguments: str, node: ast.AST) -> ast.expr:
        """The call of a tool that ends the decision where Python raises; what has no frame raises itself."""
        frame = "0" if self.depth and self.ctx is None else "frame"
        self.plan.raises = self.plan.raises or frame == "0"
        return self.expression(f"{tool}({frame}, {arguments})", node)

    def index(self, node: ast.expr) -> str:
        """An index as text: a whole number, or the decision ends."""
        text = self.text(node)
        return text if self.constant(node) is not None else ast.unparse(self.checked("whole", text, node))

    def visit_For(self, node: ast.For | ast.While) -> ast.AST:
        self.loops += 1
        out = self.generic_visit(node)
        self.loops -= 1
        return out

    def visit_While(self, node: ast.While) -> ast.AST:
        """A loop does not outlive what ends the decision: it might wait for an order that will never be taken.

        It is left by an exception: where `while True` could end, its function could return nothing.
        """
        out = self.visit_For(node)
        if not self.depth or self.ctx is not None:
            failed = self.expression(f"i8(frame + {offset(L.FRAME, 'error')}) != 0", node)
            leave = ast.Raise(ast.copy_location(ast.Name("RuntimeError", ast.Load()), node))
            out.body.insert(0, ast.copy_location(ast.If(failed, [ast.copy_location(leave, node)], []), node))
            self.plan.raises = True
        return out

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in (self.ctx, self.s):
            self.source.refuse(
                node, f"`{node.id}` cannot be stored or passed on as a value", "use its attributes directly"
            )
        if self.names.get(node.id, "").startswith("codes"):
            self.source.refuse(
                node, f"`{node.id}` as a value", "its numbers can be used: kk.Reason.CUT_CASH, kk.Status.FILLED"
            )
        if isinstance(node.ctx, ast.Store) and node.id in self.params and self.depth == 0:
            self.source.refuse(node, f"parameter `{node.id}` is read-only", "use another name")
        return ast.copy_location(ast.Name(safe(node.id), node.ctx), node)

    def code(self, node: ast.Attribute) -> int | None:
        """The number that `kk.Reason.CUT_CASH` or `Reason.CUT_CASH` means; None for anything else."""
        table = node.value
        role = self.names.get(table.id, "") if isinstance(table, ast.Name) else ""
        if isinstance(table, ast.Attribute) and self.names.get(getattr(table.value, "id", "")) == "codes":
            role = f"codes {table.attr}"
        codes = CODES.get(role.removeprefix("codes "), {}) if role.startswith("codes ") else {}
        if codes and node.attr not in codes:
            self.source.refuse(node, f"no `{node.attr}`", f"there are {', '.join(codes)}")
        return codes.get(node.attr)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if (code := self.code(node)) is not None:
            return ast.copy_location(ast.Constant(code), node)
        if self.is_state(node.value):
            return self.state_value(node)
        if node.attr == "count" and isinstance(node.value, ast.Attribute) and self.is_state(node.value.value):
            place, value = self.state_place(node.value)
            if isinstance(value, Ring) and isinstance(node.ctx, ast.Load):
                return self.expression(f"i8({place})", node)
        self.refuse_timeframe(node)
        name = self.attribute_of_ctx(node)
        if name is None:
            if isinstance(node.value, ast.Attribute) and self.column(node.value) is not None:
                if node.attr == "age" and self.attribute_of_ctx(node.value.value) == "x":
                    return self.expression(f"i8(column_at(frame, {self.column(node.value) + 1}, _i))", node)
                self.source.refuse(
                    node, "a series has no such attribute", f"use [0], [-1] or one of {', '.join(ROLLING)}"
                )
            if self.column(node) is not None:
                self.source.refuse(node, "a feature is a series", f"write {ast.unparse(node)}[0] for its present value")
            return self.generic_visit(node)
        if isinstance(node.ctx, ast.Store):
            self.source.refuse(
                node, f"ctx.{name} is read-only", "orders change the account; keep own values in declared state"
            )
        if name in SERIES:
            self.source.refuse(
                node,
                f"ctx.{name} is a series",
                f"write ctx.{name}[0] for the bar that has just closed, [-1] for the one before",
            )
        if name not in ATTRIBUTES:
            self.unknown(node, name)
        texts = {
            "i": "_i",
            "time": f"i8(column_at(frame, {L.C_KNOWN_AT}, _i))",
            "position": f"f8(_positions + {offset(L.POSITION, 'quantity')})",
            "cash": "_cash",
            "equity": self.equity,
            "orders": self.live,
        }
        return self.expression(texts[name], node)

    def unknown(self, node: ast.AST, name: str) -> NoReturn:
        """ctx has no such thing: name the nearest that it has."""
        if name in {*VERBS, *BAR_ROLLING, "record", "tf"}:
            self.source.refuse(node, f"ctx.{name} is a method", f"call it: ctx.{name}(...)")
        if name in ("x", "size"):
            wanted = "ctx.x.name[0]" if name == "x" else f"one of {', '.join(f'ctx.size.{n}(...)' for n in SIZERS)}"
            self.source.refuse(node, f"ctx.{name} is not a value", f"write {wanted}")
        known = [*ATTRIBUTES, *SERIES, *VERBS, *BAR_ROLLING, "x", "size", "record", "tf"]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean ctx.{near[0]}" if near else f"ctx has {', '.join(known)}"
        self.source.refuse(node, f"ctx has no `{name}`", hint)

    def state_place(self, node: ast.Attribute) -> tuple[str, object]:
        """Address text and declared value of `s.name`."""
        if node.attr not in self.plan.state:
            self.source.refuse(node, f"state `{node.attr}` is not declared", f"declare it: state=dict({node.attr}=0.0)")
        return f"{self.state_at} + {8 * self.plan.places[node.attr]}", self.plan.state[node.attr]

    def state_value(self, node: ast.Attribute) -> ast.AST:
        """The load of `s.name`."""
        place, value = self.state_place(node)
        if not isinstance(node.ctx, ast.Load):
            self.source.refuse(node, f"`{node.attr}` is state", f"set it by itself: s.{node.attr} = value")
        if isinstance(value, Ring):
            self.source.refuse(
                node, f"`{node.attr}` is a ring", f"write {ast.unparse(node)}[0], [-1], .push(value) or .count"
            )
        load = f"{LOADS[type(value)]}({place})"
        return self.expression(f"({load} != 0)" if isinstance(value, bool) else load, node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if (
            len(node.targets) == 1
            and isinstance(node.targets[0], ast.Attribute)
            and self.is_state(node.targets[0].value)
        ):
            return self.store(node, node.targets[0], node.value)
        return self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Name):
            read = ast.copy_location(ast.Name(node.target.id, ast.Load()), node)
            value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
            return self.visit(ast.copy_location(ast.Assign([node.target], value), node))
        if isinstance(node.target, ast.Attribute) and self.is_state(node.target.value):
            read = ast.copy_location(ast.Attribute(node.target.value, node.target.attr, ast.Load()), node)
            return self.store(node, node.target, ast.copy_location(ast.BinOp(read, node.op, node.value), node))
        return self.generic_visit(node)

    def store(self, node: ast.AST, target: ast.Attribute, wish: ast.expr) -> ast.AST:
        """The store of `s.name = value`, as the declared type."""
        place, declared = self.state_place(target)
        if isinstance(declared, Ring):
            self.source.refuse(target, f"`{target.attr}` is a ring", f"write s.{target.attr}.push(value)")
        kind = type(declared)
        if kind is int and self.kinds.is_float(wish):
            name = target.attr
            self.source.refuse(node, f"`{name}` was declared as a whole number", f"declare state=dict({name}=0.0)")
        value = self.text(wish)
        cast = {float: f"float({value})", int: f"int({value})", bool: f"int(bool({value}))"}[kind]
        return ast.copy_location(ast.Expr(self.expression(f"{STORES[kind]}({place}, {cast})", node)), node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        base = node.value
        if isinstance(base, ast.Attribute) and self.is_state(base.value):
            place, value = self.state_place(base)
            if not isinstance(node.ctx, ast.Load):
                self.source.refuse(node, f"`{base.attr}` cannot be set by index", f"write s.{base.attr}.push(value)")
            if not isinstance(value, Ring):
                self.source.refuse(node, f"`{base.attr}` is a number, not a ring", f"write s.{base.attr}")
            self.check_index(node)
            return self.expression(f"ring_at({place}, {value.n}, {self.index(node.slice)})", node)
        column = self.column(base)
        if column is not None:
            if not isinstance(node.ctx, ast.Load):
                self.source.refuse(node, "a series is read-only", "keep own values in declared state")
            k = self.constant(node.slice)
            self.check_index(node)
            j = self.timeframe(base.value)
            if j >= 0:
                self.plan.look(j, -k if k is not None else 0)
                return self.expression(f"higher_past(frame, {j}, {column}, _i, {self.index(node.slice)})", node)
            if k == 0:
                return self.expression(CLOSE if column == L.C_CLOSE_P else f"f8(column_at(frame, {column}, _i))", node)
            if k is not None:
                self.plan.reach = max(self.plan.reach, -k)
            return self.expression(f"past(frame, {column}, {self.index(node.slice)})", node)
        if isinstance(base, ast.Call):
            site = self.site(base)
            if site is not None:
                k = self.constant(node.slice)
                if k not in (0, -1):
                    self.source.refuse(
                        node,
                        "an indicator remembers its present and previous value",
                        "use [0] or [-1]; keep older ones in a kk.ring",
                    )
                self.plan.look(site.timeframe, -k)
                return self.expression(f"_p{site.slot}" if k else f"_v{site.slot}", node)
        return self.generic_visit(node)

    def constant(self, node: ast.AST) -> int | None:
        """The value of an integer literal, sign included."""
        try:
            value = ast.literal_eval(node)
        except ValueError:
            return None
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def check_index(self, node: ast.Subscript) -> None:
        """One whole number, and not a positive one: that is the future."""
        if isinstance(node.slice, ast.Slice):
            self.source.refuse(node, "a slice of the past", "use a rolling indicator, or a for loop over [-k]")
        k = self.constant(node.slice)
        literal = node.slice.operand if isinstance(node.slice, ast.UnaryOp) else node.slice
        if k is None and isinstance(literal, ast.Constant):
            self.source.refuse(node, f"index {ast.unparse(node.slice)}", "write a whole number of bars")
        if k is not None and k > 0:
            self.source.refuse(
                node, f"lookahead: index {k} is a bar that has not happened", "0 is the present bar, -1 the one before"
            )

    def site(self, node: ast.Call) -> Site | None:
        """The indicator that a call means, numbered on first sight; None for other calls."""
        function = node.func
        if isinstance(function, ast.Attribute):
            column = self.column(function.value)
            if column is not None:
                if function.attr not in ROLLING:
                    known = f"there are {', '.join(ROLLING)}, and @kk.indicator"
                    self.source.refuse(node, f"no indicator `{function.attr}`", known)
                rolling = ROLLING[function.attr]
                price = column in [SERIES[p] for p in PRICES]
                kind, j = rolling.price if price else rolling.other, self.timeframe(function.value.value)
                return self.number(node, kind, column, node.args, rolling, timeframe=j)
            if function.attr in ROLLING and isinstance(function.value, ast.Call) and self.site(function.value):
                self.source.refuse(node, "an indicator of an indicator", "write a @kk.indicator that does both")
            name = self.bar_indicator(function)
            if name in BAR_ROLLING:
                rolling, j = BAR_ROLLING[name], self.timeframe(function.value)
                return self.number(node, rolling.price, 0, node.args, rolling, timeframe=j)
        if isinstance(function, ast.Name) and self.names.get(function.id, "").startswith("indicator "):
            column = self.column(node.args[0]) if node.args else None
            if column is None:
                instead = f"write {function.id}(ctx.close, ...); what it does with the series is its own"
                self.source.refuse(node, "an indicator's first argument is a series", instead)
            _, words, name, _ = self.names[function.id].split()
            rolling = Rolling(f"_own_{name}_update", "", -1, FIRST_WORD + int(words))
            j = self.timeframe(node.args[0].value)
            return self.number(node, rolling.price, column, node.args[1:], rolling, function.id, j)
        return None

    def bar_indicator(self, node: ast.Attribute) -> str | None:
        """`atr` when node is `ctx.atr`, or that of a timeframe."""
        return node.attr if self.timeframe(node.value) >= 0 else self.attribute_of_ctx(node)

    def inside(self, node: ast.AST) -> None:
        """Refuse an indicator where it would not be there once for the strategy."""
        if self.depth:
            self.source.refuse(
                node, "an indicator inside a helper function", "call it in the strategy and pass the value on"
            )
        if self.loops:
            self.source.refuse(node, "an indicator inside a loop", "call it once, outside the loop")

    def number(
        self,
        node: ast.Call,
        kind: str,
        column: int,
        arguments: list,
        rolling: Rolling,
        custom: str = "",
        timeframe: int = -1,
    ) -> Site:
        """The site of an indicator: the one that is there, or the next slot."""
        self.inside(node)
        if node.keywords:
            self.source.refuse(node, "an indicator takes its arguments by position", "write sma(20)")
        takes = int(self.names[custom].split()[3]) if custom else 1
        if custom and len(arguments) != takes:
            what = f"after the series `{custom}` takes {takes}, found {len(arguments)}"
            self.source.refuse(node, what, "pass what its function takes after state and value")
        if len(arguments) != takes:
            self.source.refuse(
                node, f"this indicator takes one argument, found {len(arguments)}", "pass the window length in bars"
            )
        for a in arguments:
            fixed = isinstance(a, ast.Constant) and isinstance(a.value, int | float)
            if not fixed and not (isinstance(a, ast.Name) and a.id in self.params):
                self.source.refuse(
                    a,
                    "an indicator's argument must be a parameter or a constant",
                    "make it a parameter of the strategy",
                )
            whole = type(a.value) is int and a.value > 0 if fixed else self.params[a.id] is int
            if not custom and not whole:
                self.source.refuse(a, "a window that is not a positive whole number of bars", "write 20, or n=20")
        key = (kind, column, tuple(ast.unparse(a) for a in arguments))
        for site in self.plan.sites:
            if (site.kind, site.column, site.arguments, site.timeframe) == (*key, timeframe):
                return site
        site = Site(*key, rolling, self.plan.words, custom, timeframe)
        self.plan.sites.append(site)
        self.plan.words += rolling.words
        return site

    def visit_Call(self, node: ast.Call) -> ast.AST:
        site = self.site(node)
        if site is not None:
            return self.expression(f"_v{site.slot}", node)
        function = node.func
        if isinstance(function, ast.Attribute):
            name = self.attribute_of_ctx(function)
            if name == "record":
                return self.record(node)
            if name in VERBS:
                return self.verb(node, name)
            if name is not None:
                self.unknown(node, name)
            if isinstance(function.value, ast.Attribute) and self.attribute_of_ctx(function.value) == "size":
                return self.sizer(node, function.attr)
            if isinstance(function.value, ast.Attribute) and self.is_state(function.value.value):
                place, value = self.state_place(function.value)
                if not isinstance(value, Ring) or function.attr != "push" or len(node.args) != 1:
                    self.source.refuse(
                        node, "no such operation on state", "rings have .push(value), [0], [-1] and .count"
                    )
                return self.expression(f"ring_push({place}, {value.n}, float({self.text(node.args[0])}))", node)
        if isinstance(function, ast.Name):
            role = self.names.get(function.id)
            if function.id == "int" and role is None and len(node.args) == 1 and not node.keywords:
                return self.checked("whole", self.text(node.args[0]), node)
            if role == "print" or function.id == "print":
                self.cannot_compile(node, "print", "use ctx.record(name, value) and read res[name]")
            if role == "helper":
                return self.helper_call(node)
        elif self.names.get(root(function)) == "module" and not of_numbers(function):
            self.cannot_compile(node, "a function of more than numbers", "use those of math, or of numpy on one number")
        return self.generic_visit(node)

    def helper_call(self, node: ast.Call) -> ast.AST:
        """Helpers get for ctx what stands for it; other arguments are values."""
        arguments = [self.here if self.is_ctx(a) else self.text(a) for a in node.args]
        keywords = [f"{safe(k.arg or '')}={self.text(k.value)}" for k in node.keywords]
        return self.expression(f"{safe(node.func.id)}({', '.join(arguments + keywords)})", node)

    def bound(
        self, node: ast.Call, names: tuple[str, ...], optional: tuple[str, ...], extra: tuple[str, ...] = ()
    ) -> dict[str, ast.expr]:
        """Arguments of a ctx method by name; of the extra ones only `tif` may come without it."""
        given: dict[str, ast.expr] = {}
        places = names + tuple(n for n in extra if n == "tif")
        if len(node.args) > len(places):
            self.source.refuse(
                node, f"at most {len(places)} arguments without their names", f"they are {', '.join(places)}"
            )
        for name, value in zip(places, node.args, strict=False):
            given[name] = value
        for keyword in node.keywords:
            if keyword.arg not in names + extra or keyword.arg in given:
                self.source.refuse(node, f"argument `{keyword.arg}`", f"the arguments are {', '.join(names + extra)}")
            given[keyword.arg] = keyword.value
        missing = [n for n in names if n not in given and n not in optional]
        if missing:
            self.source.refuse(
                node, f"argument `{missing[0]}` is missing", f"the arguments are {', '.join(names + extra)}"
            )
        return given

    def order(self, node: ast.Call, name: str) -> tuple[int, int, list[str]]:
        """An order method's verb, its time in force with what else was given, its six numbers as text."""
        verb = VERBS[name]
        given = self.bound(node, verb.arguments, verb.optional, verb.takes)
        settings = {}
        for setting in [n for n in SETTINGS if n in given]:
            literal = given.pop(setting)
            if not isinstance(literal, ast.Constant):
                wanted = ", ".join(map(repr, verb.tifs if setting == "tif" else (True, False)))
                what = "time in force" if setting == "tif" else setting
                self.source.refuse(node, f"{what} must be a literal", f"one of {wanted}")
            settings[setting] = literal.value
        wrong = refusal(name, given, settings)
        if wrong is not None:
            self.source.refuse(node, *wrong)
        call = order_of(name, given, settings)
        self.plan.closing = self.plan.closing or call.word % 8 == L.ON_CLOSE
        as_number = {"expires": "instant"}  # its ns travel as they are
        texts = [f"{as_number.get(n, 'float')}({self.text(given[n])})" if n else "0.0" for n in call.numbers]
        if verb.sign < 0:
            texts[0] = f"-({texts[0]})"
        return call.code, call.word, texts

    def verb(self, node: ast.Call, name: str) -> ast.AST:
        """The call into the engine that an order method becomes."""
        code, word, texts = self.order(node, name)
        if name in ("target", "target_percent"):
            return self.expression(f"aim({self.here}, {code}, {texts[0]})", node)
        return self.expression(f"order(frame, _account, {self.equity}, {code}, {word}, {', '.join(texts)})", node)

    def sizer(self, node: ast.Call, name: str) -> ast.AST:
        """The quantity, in base units, that `ctx.size.name(...)` means."""
        if name not in SIZERS:
            self.source.refuse(node, f"ctx.size has no `{name}`", f"there are {', '.join(SIZERS)}")
        self.plan.sizes = True
        given = self.bound(node, SIZERS[name], ("n",))
        g = f"i8(frame + {offset(L.FRAME, 'instrument')})"
        multiplier, periods = (f"f8({g} + {offset(L.INSTRUMENT, n)})" for n in ("multiplier", "periods"))
        if name == "risk":
            return self.expression(
                f"(({self.text(given['fraction'])}) * {self.equity} / (({self.text(given['stop'])}) * {multiplier}))",
                node,
            )
        if name == "notional":
            return self.expression(f"(({self.text(given['value'])}) / ({CLOSE} * {multiplier}))", node)
        window = given.get("n") or ast.Constant(20)
        series = ast.parse(f"{self.ctx}.close.volatility()", mode="eval").body
        series.args = [window]
        site = self.site(ast.copy_location(series, node))
        sigma = f"(_v{site.slot} * {periods} ** 0.5)"
        return self.expression(
            f"(({self.text(given['volatility'])}) * {self.equity} / ({CLOSE} * {multiplier} * {sigma}))", node
        )

    def record(self, node: ast.Call) -> ast.AST:
        """The store of `ctx.record(name, value)`."""
        given = self.bound(node, ("name", "value"), ())
        name = given["name"]
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str) or not name.value.isidentifier():
            self.source.refuse(
                node, "the name of a record must be a literal identifier", 'write ctx.record("z", value)'
            )
        if name.value in RESULT or name.value in self.plan.params:
            self.source.refuse(node, f"a result has its own `{name.value}`", "record it by another name")
        if name.value not in self.plan.records:
            self.plan.records.append(name.value)
        return self.expression(
            f"{self.recorder}(frame, {self.plan.records.index(name.value)}, float({self.text(given['value'])}))", node
        )
