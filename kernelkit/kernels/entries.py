"""What becomes of a strategy: `decide`, the user's code at one bar of one trial, and a kernel for each own indicator.

Indicators are computed for a stretch of bars, each once for all trials that use it; `decide` reads them. They see bars
alone, so that they run ahead of the decisions changes nothing.
"""

import ast
import re
from collections.abc import Iterable

from kernelkit.kernels.layout import ACCOUNT, C_CLOSE_P, FAILED, FAR, FRAME, RAISED
from kernelkit.kernels.plan import Plan, Site
from kernelkit.kernels.tools import offset, safe

# as `coast` passes them: what a decision reads of the account, the trial's words, the panel, prices
DECIDE = """def decide(
    frame: int, _i: int, _state: int, _account: int, _positions: int, _s: int, _panel: int, _cash: float, _held: float,
    _mark: int, _close: int, _open: int
) -> int:"""


def read(kind: type, place: str) -> str:
    """The value of a parameter that lies at `place`."""
    word = f"{'f8' if kind is float else 'i8'}({place})"
    return f"{word} != 0" if kind is bool else word


def guarded(plan: Plan, lines: list[str]) -> list[str]:
    """A decision's lines, in a `try` where they can raise."""
    if not plan.raises:
        return lines
    return ["    try:", *lines, "    except Exception:", f"        return {RAISED}"]


def decide_text(plan: Plan, lines: list[str]) -> str:
    """Read parameters and indicators, then decide.

    A slot's second word says where in the panel the trial's values lie, an indicator's previous value one word before.
    """
    out = [DECIDE]
    out += [f"    {safe(n)} = {read(kind, f'_s + {8 * k}')}" for k, (n, kind) in enumerate(plan.params.items())]
    out += higher_bars(plan.sites)
    for site in plan.sites:
        where = value_at(site)
        out.append(f"    _v{site.slot} = f8({where})")
        if any(re.search(rf"\b_p{site.slot}\b", line) for line in lines):
            out.append(f"    _p{site.slot} = f8({where} - 8)")
    return "\n".join([*out, *failed(plan), *guarded(plan, lines), "    return 0"])


def higher_bars(sites: Iterable[Site]) -> list[str]:
    """Find, for the higher timeframes of these indicators, where in the panel their last closed bars are."""
    return [f"    _higher_{j} = higher_place(frame, {j}, _i)" for j in sorted({s.timeframe for s in sites} - {-1})]


def value_at(site: Site) -> str:
    """Where an indicator has its value for this trial and bar."""
    base = "_panel + 8 * _i" if site.timeframe < 0 else f"_higher_{site.timeframe}"
    return f"{base} + i8(_s + {8 * site.slot + 8})"


def failed(plan: Plan) -> list[str]:
    """End the decision where an own indicator has raised."""
    risky, out = [site for site in plan.sites if site.kind in plan.risky], []
    if risky:
        out.append(f"    _f = {FAR}")  # the bar at which the first of them raised
        for site in risky:
            value, j = f"_v{site.slot}", site.timeframe
            bar = f"bits({value}) & 0xFFFFFFFF" if j < 0 else f"failing_bar(frame, {j}, {value})"
            out.append(f"    if bits({value}) >> 32 == {FAILED}:")
            out.append(f"        _f = min(_f, {bar})")
        out.append(f"    if _f < {FAR}:")
        out.append(f"        put_i8(frame + {offset(FRAME, 'i')}, _f)")
        out.append(f"        return {RAISED}")
    return out


def own_text(plan: Plan, k: int) -> str:
    """The kernel of own indicator `k`: its arguments come from the strategy's words."""
    site, names = plan.sites[k], list(plan.params)
    given = [read(plan.params[a], f"words + {8 * names.index(a)}") if a in names else a for a in site.arguments]
    arguments = ", ".join(["frame, slot, column, first, last, out", *given])
    head = ", ".join(f"{n}: int" for n in ("frame", "slot", "column", "first", "last", "out", "words"))
    return f"def _own_{k}({head}) -> None:\n    {site.kind}({arguments})"


def placed(plan: Plan) -> list[str]:
    """Where a portfolio's decision is, what it reads from: of a strategy that is called for each asset, that of one."""
    own = plan.by_asset
    places = {"_i": "i" if own else "clock", "_state": "state", "_account": "account", "_s": "strategy"}
    out = [f"    {name} = i8(frame + {offset(FRAME, field)})" for name, field in places.items()]
    if own:
        asset = f"i8(frame + {offset(FRAME, 'asset')})"
        out += [
            f"    _positions = i8(frame + {offset(FRAME, 'positions')})",
            f"    _e = _s + 8 * ({plan.words} + {plan.own_words} * {asset})",
            "    _panel = own_panel(frame)",
            f"    _cash = f8(_account + {offset(ACCOUNT, 'cash')})",
            f"    _close = column_at(frame, {C_CLOSE_P}, 0)",
        ]
    return out


def decide_all_text(plan: Plan, lines: list[str]) -> str:
    """The decision of a portfolio at a bar of its clock; EACH is where its state of a number for each asset begins."""
    out = [f"EACH = {plan.words}", "def decide(frame: int) -> int:"]
    out += placed(plan)
    out += [f"    {safe(n)} = {read(kind, f'_s + {8 * k}')}" for k, (n, kind) in enumerate(plan.params.items())]
    return "\n".join([*out, *guarded(plan, lines), "    return 0"])


def entries(plan: Plan, lines: list[str]) -> str:
    """All of them."""
    decision = decide_all_text(plan, lines) if plan.shared else decide_text(plan, lines)
    return "\n\n".join([decision, *kernels(plan)])


def kernels(plan: Plan) -> list[str]:
    """The kernels of own indicators."""
    return [own_text(plan, k) for k, site in enumerate(plan.sites) if site.custom]


class Returns(ast.NodeTransformer):
    """`return` and `return anything` end the decision."""

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Keep the value's effects, return 0."""
        new = ast.copy_location(ast.Return(ast.copy_location(ast.Constant(0), node)), node)
        if node.value is None or isinstance(node.value, ast.Constant):
            return new
        return [ast.copy_location(ast.Expr(node.value), node), new]
