"""The two functions of a strategy's module that are called from outside, each with the address of the FRAME.

`refresh` computes indicators for a stretch of bars, each once for all trials that use it; `decide` reads them and runs
the user's code at one bar of one trial. Indicators see bars alone, so that they run ahead of the decisions changes
nothing.
"""

import ast
import re

from kernelkit.kernels.layout import FAILED, FRAME, INSTRUMENT, RAISED, ROW, ROW_BYTES
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.tools import offset, safe

FIELD = {n: f"i8(frame + {offset(FRAME, n)})" for n in ("strategy", "i", "panel", "rows", "n_rows", "first", "last")}


def read(kind: type, place: str) -> str:
    """The value of a parameter that lies at `place`."""
    word = f"{'f8' if kind is float else 'i8'}({place})"
    return f"{word} != 0" if kind is bool else word


def decide_text(plan: Plan, lines: list[str]) -> str:
    """Read parameters and indicators, then decide.

    A slot's second word says where in the panel the trial's values lie, an indicator's previous value one word before.
    """
    out = ["def decide(frame: int) -> int:", f"    _s = {FIELD['strategy']}", f"    _i = {FIELD['i']}"]
    out += [f"    {safe(n)} = {read(kind, f'_s + {8 * k}')}" for k, (n, kind) in enumerate(plan.params.items())]
    if plan.sites:
        out.append(f"    _panel = {FIELD['panel']} + 8 * _i")
    for site in plan.sites:
        where = f"_panel + i8(_s + {8 * site.slot + 8})"
        out.append(f"    _v{site.slot} = f8({where})")
        if any(re.search(rf"\b_p{site.slot}\b", line) for line in lines):
            out.append(f"    _p{site.slot} = f8({where} - 8)")
        if site.kind in plan.risky:
            out.append(f"    if bits(_v{site.slot}) >> 32 == {FAILED}:")
            out.append(f"        put_i8(frame + {offset(FRAME, 'i')}, bits(_v{site.slot}) & 0xFFFFFFFF)")
            out.append(f"        return {RAISED}")
    if plan.raises:
        lines = ["    try:", *lines, "    except Exception:", f"        return {RAISED}"]
    return "\n".join([*out, *lines, "    return 0"])


def refresh_text(plan: Plan) -> str:
    """Bars [FRAME.first, FRAME.last) of the indicators that the ROW records name."""
    row = {name: f"i8(row + {offset(ROW, name)})" for name in ROW.names}
    out = [
        "def refresh(frame: int) -> int:",
        f"    first = {FIELD['first']}",
        f"    for k in range({FIELD['n_rows']}):",
        f"        row = {FIELD['rows']} + {ROW_BYTES} * k",
        f"        put_i8(frame + {offset(FRAME, 'instrument')}, {row['instrument']})",
        f"        columns = i8({row['instrument']} + {offset(INSTRUMENT, 'columns')})",
        f"        put_i8(frame + {offset(FRAME, 'columns')}, columns)",
        f"        last = min({FIELD['last']}, i8({row['instrument']} + {offset(INSTRUMENT, 'n_bars')}))",
        f"        site, words, out = {row['site']}, {row['words']}, {row['out']}",
        "        if first >= last:",
        "            continue",
    ]
    names = list(plan.params)
    for k, site in enumerate(plan.sites):
        slot = f"words + {8 * site.slot}"
        given = [read(plan.params[a], f"words + {8 * names.index(a)}") if a in names else a for a in site.arguments]
        arguments = ", ".join([slot, str(site.column), "first", "last", "out", *given])
        out += [
            f"        if site == {k}:",
            f"            put_f8(out - 8, f8({slot}))",
            f"            {site.kind}(frame, {arguments})",
            f"            put_f8({slot}, f8(out + 8 * (last - first - 1)))",
        ]
    return "\n".join([*out, "    return 0"])


def entries(plan: Plan, lines: list[str]) -> str:
    """Both; without indicators there is nothing to refresh."""
    texts = [decide_text(plan, lines)] + ([refresh_text(plan)] if plan.sites else [])
    return "\n\n".join(texts)


class Returns(ast.NodeTransformer):
    """`return` and `return anything` end the decision."""

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Keep the value's effects, return 0."""
        new = ast.copy_location(ast.Return(ast.copy_location(ast.Constant(0), node)), node)
        if node.value is None or isinstance(node.value, ast.Constant):
            return new
        return [ast.copy_location(ast.Expr(node.value), node), new]
