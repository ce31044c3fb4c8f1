"""Lowering of a portfolio's strategy: `ctx[k]` is an asset, `ctx` the account and its clock (rules X1, X7)."""

import ast
import copy

from kernelkit.kernels import layout as L
from kernelkit.kernels.context import (
    ACCOUNT_VERBS,
    ASSET_ATTRIBUTES,
    BAR_ROLLING,
    BY_ID,
    PORTFOLIO_ATTRIBUTES,
    ROLLING,
    SERIES,
    VERBS,
)
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.plan import Each
from kernelkit.kernels.timeframe import named
from kernelkit.kernels.tools import offset, safe


class PortfolioLowering(Lowering):
    """Rewrites one function whose `ctx` has several assets."""

    def asset(self, node: ast.AST) -> str | None:
        """The number of the asset, as text, when node is `ctx[k]`."""
        if not (isinstance(node, ast.Subscript) and self.is_ctx(node.value)):
            return None
        if isinstance(node.slice, ast.Slice | ast.Tuple) or (
            isinstance(node.slice, ast.Constant) and type(node.slice.value) is not int
        ):
            self.source.refuse(node, "an asset has a number", "write ctx[0], or ctx[k] in `for k in ctx.tradable:`")
        if self.kinds.is_float(node.slice):
            self.source.refuse(node, "an asset's number is a whole one", "write ctx[int(...)]")
        return self.index(copy.deepcopy(node.slice))  # lowering changes it, and it is asked for more than once

    def owns(self, node: ast.AST) -> bool:
        """Whether node is what has bars: `ctx[k]`."""
        return self.asset(node) is not None

    def series(self, node: ast.AST) -> ast.Subscript | None:
        """The `ctx[k]` of `ctx[k].close`, `ctx[k].tf(text).close` or `ctx[k].x.name`; None for anything else."""
        if not isinstance(node, ast.Attribute):
            return None
        owner = node.value.value if self.timeframe(node.value) >= 0 else node.value
        if node.attr in SERIES and self.asset(owner) is not None:
            return owner
        if (
            isinstance(node.value, ast.Attribute)
            and node.value.attr == "x"
            and self.asset(node.value.value) is not None
        ):
            return node.value.value
        return None

    def column(self, node: ast.AST) -> int | None:
        """The column of `ctx[k].close` or `ctx[k].x.name`, None for anything else."""
        if self.series(node) is None:
            name = self.attribute_of_ctx(node)
            if name in SERIES or name == "x":
                self.source.refuse(node, f"ctx.{name} of a portfolio", f"it is an asset's: write ctx[k].{name}")
            return None
        if node.attr in SERIES and (self.asset(node.value) is not None or self.timeframe(node.value) >= 0):
            return SERIES[node.attr]
        return self.feature(node.attr)

    def visit_For(self, node: ast.For | ast.While) -> ast.AST:
        """`for k in ctx.tradable:` goes over the assets that have a bar now."""
        if isinstance(node, ast.For) and self.attribute_of_ctx(node.iter) == "tradable":
            if not isinstance(node.target, ast.Name) or node.orelse:
                self.source.refuse(node, "a loop over ctx.tradable", "write `for k in ctx.tradable:`, without an else")
            # The user's variable is one of those assets, after the loop too: all of them are counted by another.
            k, counted = safe(node.target.id), f"_a{self.loops}"
            self.loops += 1
            body = [self.visit(n) for n in node.body]
            self.loops -= 1
            test = self.expression(f"asset_tradable(frame, {counted})", node)
            name = ast.copy_location(ast.Name(k, ast.Store()), node)
            take = ast.copy_location(ast.Assign([name], self.expression(counted, node)), node)
            inner = ast.copy_location(ast.If(test, [take, *body], []), node)
            count = self.expression(f"range(i8(frame + {offset(L.FRAME, 'n_asset')}))", node)
            target = ast.copy_location(ast.Name(counted, ast.Store()), node)
            return ast.copy_location(ast.For(target, count, [inner], []), node)
        return super().visit_For(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.refuse_timeframe(node)
        k = self.asset(node.value)
        if k is not None:
            if isinstance(node.ctx, ast.Store):
                self.source.refuse(node, f"ctx[k].{node.attr} is read-only", "orders change the account")
            if node.attr in ASSET_ATTRIBUTES:
                return self.expression(f"asset_{node.attr}(frame, {k})", node)
            if node.attr in SERIES:
                self.source.refuse(node, f"ctx[k].{node.attr} is a series", f"write ctx[k].{node.attr}[0] or [-1]")
            self.unknown_asset(node)
        if self.series(node.value) is not None:
            if node.attr == "age" and self.column(node.value) >= L.FIRST_FEATURE:
                k = self.asset(self.series(node.value))
                return self.expression(f"asset_age(frame, {k}, {self.column(node.value) + 1})", node)
            self.source.refuse(node, "a series has no such attribute", f"use [0], [-1] or one of {', '.join(ROLLING)}")
        name = self.attribute_of_ctx(node)
        if name is not None and isinstance(node.ctx, ast.Load):
            if name == "tradable":
                self.source.refuse(node, "ctx.tradable is not a value", "write `for k in ctx.tradable:`")
            if name not in PORTFOLIO_ATTRIBUTES:
                self.unknown_account(node, name)
            texts = {
                "i": "_i",
                "n": f"i8(frame + {offset(L.FRAME, 'n_asset')})",
                "time": f"i8(column_at(frame, {L.C_KNOWN_AT}, _i))",
                "session": f"i8(column_at(frame, {L.C_SESSION}, _i))",
                "cash": f"f8(_account + {offset(L.ACCOUNT, 'cash')})",
                "equity": f"f8(_account + {offset(L.ACCOUNT, 'equity')})",
                "orders": f"i8(_state + {offset(L.HEADER, 'n_live')})",
            }
            return self.expression(texts[name], node)
        return super().visit_Attribute(node)

    def unknown_asset(self, node: ast.Attribute) -> None:
        """An asset has no such thing."""
        if node.attr in BY_ID:
            self.source.refuse(
                node, f"ctx[k].{node.attr} of a portfolio", f"an id is enough: call ctx.{node.attr}(...)"
            )
        if node.attr in VERBS or node.attr in (*BAR_ROLLING, "tf"):
            self.source.refuse(node, f"ctx[k].{node.attr} is a method", f"call it: ctx[k].{node.attr}(...)")
        known = (*ASSET_ATTRIBUTES, *SERIES, *(v for v in VERBS if v not in BY_ID), *BAR_ROLLING, "x", "tf")
        self.source.refuse(node, f"an asset has no `{node.attr}`", f"it has {', '.join(known)}")

    def unknown_account(self, node: ast.AST, name: str) -> None:
        """The account has no such thing."""
        if named(name) or (
            name in (*ASSET_ATTRIBUTES, *SERIES, *VERBS, *BAR_ROLLING, "x") and name not in ACCOUNT_VERBS
        ):
            self.source.refuse(node, f"ctx.{name} of a portfolio", f"it is an asset's: write ctx[k].{name}")
        if name in (*ACCOUNT_VERBS, "record"):
            self.source.refuse(node, f"ctx.{name} is a method", f"call it: ctx.{name}(...)")
        known = (*PORTFOLIO_ATTRIBUTES, "tradable", *ACCOUNT_VERBS, "record")
        self.source.refuse(node, f"the ctx of a portfolio has no `{name}`", f"it has {', '.join(known)}, and ctx[k]")

    def each(self, node: ast.AST) -> str | None:
        """The address, as text, of the numbers when node is `s.name` of a kk.each()."""
        if not (isinstance(node, ast.Attribute) and self.is_state(node.value)):
            return None
        if not isinstance(self.plan.state.get(node.attr), Each):
            return None
        j = [n for n, v in self.plan.state.items() if isinstance(v, Each)].index(node.attr)
        return f"(_s + 8 * (EACH + {j} * i8(frame + {offset(L.FRAME, 'n_asset')})))"

    def state_place(self, node: ast.Attribute) -> tuple[str, object]:
        if self.each(node) is not None:
            self.source.refuse(
                node,
                f"`{node.attr}` has a number for each asset",
                f"write {ast.unparse(node)}[k], or pass it whole to ctx.rank and ctx.weights",
            )
        return super().state_place(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        target = node.targets[0]
        if len(node.targets) == 1 and isinstance(target, ast.Subscript) and self.each(target.value) is not None:
            place = f"each_place(frame, {self.each(target.value)}, {self.index(target.slice)})"
            put = f"put_f8({place}, float({self.text(node.value)}))"
            return ast.copy_location(ast.Expr(self.expression(put, node)), node)
        return super().visit_Assign(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Subscript) and self.each(node.target.value) is not None:
            place = copy.deepcopy(node.target.slice)  # lowering changes a tree where it stands, and this is read twice
            read = ast.copy_location(ast.Subscript(node.target.value, place, ast.Load()), node)
            value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
            return self.visit_Assign(ast.copy_location(ast.Assign([node.target], value), node))
        return super().visit_AugAssign(node)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        base = node.value
        if self.asset(node) is not None:
            self.source.refuse(node, "an asset is not a value", "use its attributes: ctx[k].close[0], ctx[k].position")
        if self.each(base) is not None:
            if not isinstance(node.ctx, ast.Load):
                name = ast.unparse(base)
                self.source.refuse(node, "a number of an asset set with others", f"set it alone: {name}[k] = value")
            return self.expression(f"f8(each_place(frame, {self.each(base)}, {self.index(node.slice)}))", node)
        column = self.column(base)
        if column is not None:
            if not isinstance(node.ctx, ast.Load):
                self.source.refuse(node, "a series is read-only", "keep own values in declared state")
            self.check_index(node)
            back, j = self.constant(node.slice), self.timeframe(base.value)
            self.plan.look(j, -back if back is not None else 0)
            k, index = self.asset(self.series(base)), self.index(node.slice)
            if j >= 0:
                return self.expression(f"asset_higher(frame, {k}, {j}, {column}, {index})", node)
            return self.expression(f"asset_past(frame, {k}, {column}, {index})", node)
        if isinstance(base, ast.Call) and self.site(base) is not None:
            back = self.constant(node.slice)
            if back not in (0, -1):
                instead = "use [0] or [-1]"
                self.source.refuse(node, "an indicator remembers its present and previous value", instead)
            self.plan.look(self.site(base).timeframe, -back)
            return self.value(base, back)
        return super().visit_Subscript(node)

    def value(self, node: ast.Call, back: int) -> ast.AST:
        """The value of the indicator that a call means, of the asset that it names."""
        site = self.site(node)
        first = node.func.value if isinstance(node.func, ast.Attribute) else node.args[0]
        first = first.value if self.timeframe(first) >= 0 else first
        k = self.asset(first if self.asset(first) is not None else self.series(first))
        place = f"_s + {8 * site.slot + 8}"
        if site.timeframe >= 0:
            return self.expression(f"asset_higher_value(frame, {k}, {site.timeframe}, {place}, {back})", node)
        return self.expression(f"asset_value(frame, {k}, {place}, {back})", node)

    def bar_indicator(self, node: ast.Attribute) -> str | None:
        return node.attr if self.asset(node.value) is not None or self.timeframe(node.value) >= 0 else None

    def inside(self, node: ast.AST) -> None:
        """An indicator of each asset is there whatever runs: in a loop as well."""
        if self.depth:
            super().inside(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if self.site(node) is not None:
            return self.value(node, 0)
        function = node.func
        if isinstance(function, ast.Attribute):
            k = self.asset(function.value)
            if k is not None:
                if function.attr not in VERBS or function.attr in BY_ID:
                    self.unknown_asset(function)
                return self.verb(node, function.attr, k)
            name = self.attribute_of_ctx(function)
            if name in (*BY_ID, "cancel_all"):
                return self.verb(node, name, None)
            if name in ("weights", "rank"):
                return self.whole(node, name)
            if name == "transfer":
                given = self.bound(node, ("amount", "source", "target"), ())
                ends = ", ".join(self.index(given[n]) for n in ("source", "target"))
                return self.expression(f"send_money(frame, float({self.text(given['amount'])}), {ends})", node)
            if name not in (None, "record"):
                self.unknown_account(function, name)
        if any(self.asset(a) is not None or self.is_ctx(a) for a in node.args):
            self.source.refuse(node, "an asset or ctx passed on to a function", "pass values on: ctx[k].close[0]")
        return super().visit_Call(node)

    def whole(self, node: ast.Call, name: str) -> ast.AST:
        """`ctx.rank(s.values, s.ranks)` and `ctx.weights(s.weights, band=)`."""
        names = ("values", "ranks") if name == "rank" else ("weights", "band")
        given = self.bound(node, names, ("band",))
        each = names if name == "rank" else names[:1]
        places = [self.each(given[n]) for n in each]
        for n, place in zip(each, places, strict=True):
            if place is None:
                fix = "declare it, state=dict(w=kk.each()), and pass s.w"
                self.source.refuse(node, f"`{n}` of ctx.{name} is a number for each asset", fix)
        if name == "rank":
            return self.expression(f"rank(frame, {places[0]}, {places[1]})", node)
        band = f"float({self.text(given['band'])})" if "band" in given else "-1.0"
        return self.expression(f"weights(frame, {places[0]}, {band})", node)

    def verb(self, node: ast.Call, name: str, k: str | None = None) -> ast.AST:
        """The call into the engine that an order method becomes: for an asset, or for the account as a whole."""
        code, word, texts = self.order(node, name)
        if k is not None and name in ("target", "target_percent"):
            return self.expression(f"asset_aim(frame, {k}, {code}, {texts[0]})", node)
        floats = ", ".join(texts)
        if k is not None:
            return self.expression(f"asset_order(frame, {k}, {code}, {word}, {floats})", node)
        return self.expression(f"call_act(i8(frame + {offset(L.FRAME, 'act')}), frame, {code}, {word}, {floats})", node)
