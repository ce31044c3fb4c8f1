"""The functions of a strategy's module that are called from outside.

`entry` keeps its indicators in the trial's own slots: any bar, any engine. In a sweep many trials use the same
indicator of the same bars: `refresh` computes each once, a stretch of bars at a time, and `decide` reads them.
"""

import ast
import re

from kernelkit.kernels.layout import FRAME, INSTRUMENT, RAISED, SHARED
from kernelkit.kernels.plan import Plan, Site
from kernelkit.kernels.tools import offset, safe

FIELD = {n: f"i8(frame + {offset(FRAME, n)})" for n in ("strategy", "i", "live", "panel")}


def read(kind: type, place: str) -> str:
    """The value of a parameter that lies at `place`."""
    word = f"{'f8' if kind is float else 'i8'}({place})"
    return f"{word} != 0" if kind is bool else word


def parameters(plan: Plan) -> list[str]:
    """The statements that read all of them from the strategy's slots."""
    return [f"{safe(n)} = {read(kind, f'_s + {8 * k}')}" for k, (n, kind) in enumerate(plan.params.items())]


def update(site: Site, slot: str, arguments: list[str]) -> str:
    """The call that brings an indicator to the present bar; its value."""
    return f"{site.kind}(frame, {slot}, {', '.join((str(site.column), *arguments))})"


def earlier(plan: Plan, lines: list[str]) -> list[Site]:
    """The indicators whose previous value is read."""
    return [s for s in plan.sites if any(re.search(rf"\b_p{s.slot}\b", line) for line in lines)]


def entry_text(plan: Plan, lines: list[str]) -> str:
    """Update every indicator, then decide if the account is live."""
    pad = "        " if plan.raises else "    "
    head = ["def entry(frame: int) -> int:", f"    _s = {FIELD['strategy']}", f"    _i = {FIELD['i']}"]
    head += [f"    {p}" for p in parameters(plan)]
    body = [f"{pad}_v{s.slot} = {update(s, f'_s + {8 * s.slot}', [safe(a) for a in s.arguments])}" for s in plan.sites]
    body += [f"{pad}_p{s.slot} = f8(_s + {8 * s.slot + 8})" for s in earlier(plan, lines)]
    body += [f"{pad}if {FIELD['live']} == 0:", f"{pad}    return 0", *lines]
    if plan.raises:
        return "\n".join(
            [*head, "    try:", *body, "    except Exception:", f"        return {RAISED}", "    return 0"]
        )
    return "\n".join([*head, *body, "    return 0"])


def decide_text(plan: Plan, lines: list[str]) -> str:
    """The same decision with shared indicators: the first word of a slot is where in the panel its values lie.

    The account is live: with nothing to warm up, trials begin there.
    """
    head = ["def decide(frame: int) -> int:", f"    _s = {FIELD['strategy']}", f"    _i = {FIELD['i']}"]
    head += [f"    {p}" for p in parameters(plan)]
    if plan.sites:
        head.append(f"    _panel = {FIELD['panel']} + 8 * _i")
    head += [f"    _v{s.slot} = f8(_panel + i8(_s + {8 * s.slot}))" for s in plan.sites]
    head += [f"    _p{s.slot} = f8(_panel + i8(_s + {8 * s.slot}) - 8)" for s in earlier(plan, lines)]
    return "\n".join([*head, *lines, "    return 0"])


def refresh_text(plan: Plan) -> str:
    """Bars [first, last) of `n` shared indicators, each as a SHARED record says."""
    row = {name: f"i8(row + {offset(SHARED, name)})" for name in SHARED.names}
    head = [
        "def refresh(frame: int, rows: int, n: int, first: int, last: int) -> None:",
        "    for k in range(n):",
        f"        row = rows + {SHARED.itemsize} * k",
        f"        put_i8(frame + {offset(FRAME, 'instrument')}, {row['instrument']})",
        f"        columns = i8({row['instrument']} + {offset(INSTRUMENT, 'columns')})",
        f"        put_i8(frame + {offset(FRAME, 'columns')}, columns)",
        f"        end = min(last, i8({row['instrument']} + {offset(INSTRUMENT, 'n_bars')}))",
        f"        site, slot, given, out = {row['site']}, {row['slot']}, {row['given']}, {row['out']}",
    ]
    names = list(plan.params)
    for k, site in enumerate(plan.sites):
        given = {a: names.index(a) for a in site.arguments if a in plan.params}
        head.append(f"        if site == {k}:")
        head += [f"            _a{j} = {read(plan.params[a], f'given + {8 * j}')}" for a, j in given.items()]
        arguments = [f"_a{given[a]}" if a in given else a for a in site.arguments]
        head += [
            "            for i in range(first, end):",
            f"                put_i8(frame + {offset(FRAME, 'i')}, i)",
            f"                put_f8(out + 8 * (i - first), float({update(site, 'slot', arguments)}))",
        ]
    return "\n".join(head)


def entries(plan: Plan, lines: list[str]) -> str:
    """All of them. What can raise has its own entry alone: its exceptions name a bar of one trial."""
    if plan.raises:
        return entry_text(plan, lines)
    return "\n\n".join([entry_text(plan, lines), decide_text(plan, lines), refresh_text(plan)])


class Returns(ast.NodeTransformer):
    """`return` and `return anything` end the decision."""

    def visit_Return(self, node: ast.Return) -> ast.AST:
        """Keep the value's effects, return 0."""
        new = ast.copy_location(ast.Return(ast.copy_location(ast.Constant(0), node)), node)
        if node.value is None or isinstance(node.value, ast.Constant):
            return new
        return [ast.copy_location(ast.Expr(node.value), node), new]
