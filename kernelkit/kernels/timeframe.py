"""`ctx.tf("1h")` in a strategy's source: what the text means, and the tree with an attribute of that name in its place.

As an attribute `tf("1h")`, which nobody can write, it is part of a series' name like any other, and messages show the
user's own text. Where a variable was given a timeframe, its name is replaced likewise.
"""

import ast
import copy
import re

from kernelkit.kernels.context import BAR_ROLLING, SERIES
from kernelkit.kernels.flow import unassigned
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.source import Source

MINUTE = 60 * 10**9
DAY = 1440 * MINUTE
WEEK = 7 * DAY
WANTED = "1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1D 1W, or other minutes and hours that divide a day"


def length(text: str) -> int:
    """Nanoseconds of a timeframe; 0 where the text is none (W1).

    >>> length("4h") == 4 * length("60m"), length("7m"), length("1D") == length("24h")
    (True, 0, True)
    """
    found = re.fullmatch(r"([1-9]\d{0,3})([mh])", text)
    if not found:
        return {"1D": DAY, "1W": WEEK}.get(text, 0)
    ns = int(found[1]) * (MINUTE if found[2] == "m" else 60 * MINUTE)
    return ns if DAY % ns == 0 else 0


def canonical(text: str) -> str:
    """The one name of all texts that mean the same timeframe.

    >>> canonical("60m"), canonical("90m"), canonical("24h")
    ('1h', '90m', '1D')
    """
    ns = length(text)
    if ns >= DAY:
        return "1D" if ns == DAY else "1W"
    return f"{ns // (60 * MINUTE)}h" if ns % (60 * MINUTE) == 0 else f"{ns // MINUTE}m"


def named(attribute: str) -> str:
    """The timeframe that an attribute stands for, empty for any other.

    >>> named('tf("1h")'), named("tf")
    ('1h', '')
    """
    return attribute[4:-2] if attribute.startswith('tf("') else ""


def timeframed(source: Source, ctx: str | None) -> Source:
    """The source with an attribute in the place of each `ctx.tf(text)`; the same one where there is none.

    Raises StrategyError for a text that is none, or not a literal, and for a variable that is not a timeframe alone.
    """
    if ctx is None or not any(is_call(n, ctx) for n in ast.walk(source.tree)):
        return source
    given: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_call(node.value, ctx):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            instead = f"write {ast.unparse(node.value)} where it is used"
            if isinstance(node.value.func.value, ast.Subscript):
                source.refuse(node, "a timeframe of an asset in a variable", instead)
            if len(targets) != 1 or not isinstance(targets[0], ast.Name):
                source.refuse(node, "a timeframe is given to one variable", f"write h = {ast.unparse(node.value)}")
            text = text_of(source, node.value)
            if given.setdefault(targets[0].id, text) != text:
                source.refuse(node, f"`{targets[0].id}` is another timeframe already", instead)
    for node in ast.walk(source.tree):
        stores = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        if stores and node.id in given and not given_at(source.tree, node, ctx):
            source.refuse(node, f"`{node.id}` is a timeframe", "give the other value a name of its own")
    unset = unassigned(source.tree)
    if unset is not None and unset.id in given:
        source.refuse(unset, "a timeframe that is not set here", "set it before the branch or loop")
    tree = Named(source, ctx, given).visit(copy.deepcopy(source.tree))
    return Source(ast.fix_missing_locations(tree), source.filename, source.first_line)


def is_call(node: ast.AST | None, ctx: str) -> bool:
    """Whether it is a call of `ctx.tf` or `ctx[k].tf`."""
    function = node.func if isinstance(node, ast.Call) else None
    if not (isinstance(function, ast.Attribute) and function.attr == "tf"):
        return False
    whose = function.value.value if isinstance(function.value, ast.Subscript) else function.value
    return isinstance(whose, ast.Name) and whose.id == ctx


def given_at(tree: ast.FunctionDef, name: ast.Name, ctx: str) -> bool:
    """Whether this is where a variable is given a timeframe."""
    places = [n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AnnAssign) and is_call(n.value, ctx)]
    return any(name is t for n in places for t in (n.targets if isinstance(n, ast.Assign) else [n.target]))


def text_of(source: Source, node: ast.Call) -> str:
    """The timeframe that a call names."""
    literal = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if not (isinstance(literal, ast.Constant) and isinstance(literal.value, str)):
        source.refuse(node, "a timeframe is one literal text", 'write ctx.tf("1h"); a grid takes one strategy for each')
    if not length(literal.value):
        source.refuse(node, f"{literal.value!r} is no timeframe", f"there are {WANTED}")
    return canonical(literal.value)


class Named(ast.NodeTransformer):
    """Puts attributes in the place of calls, and of the variables that were given one."""

    def __init__(self, source: Source, ctx: str, given: dict[str, str]) -> None:
        self.source, self.ctx, self.given = source, ctx, given

    def attribute(self, whose: ast.expr, text: str, node: ast.AST) -> ast.AST:
        """`whose.tf("1h")` as an attribute."""
        return ast.copy_location(ast.Attribute(whose, f'tf("{text}")', ast.Load()), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """A call of `ctx.tf`."""
        if is_call(node, self.ctx):
            return self.attribute(self.visit(node.func.value), text_of(self.source, node), node)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign | ast.AnnAssign) -> ast.AST:
        """The assignment of one does nothing."""
        return ast.copy_location(ast.Pass(), node) if is_call(node.value, self.ctx) else self.generic_visit(node)

    visit_AnnAssign = visit_Assign

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A variable that was given one."""
        if node.id in self.given and isinstance(node.ctx, ast.Load):
            whose = ast.copy_location(ast.Name(self.ctx, ast.Load()), node)
            return self.attribute(whose, self.given[node.id], node)
        return node


class Timeframes(ast.NodeTransformer):
    """What lowering knows of timeframes: which one a node is, and what cannot be read of it."""

    source: Source
    plan: Plan
    ctx: str | None

    def owns(self, node: ast.AST) -> bool:
        """Whether node is what has bars: `ctx`."""
        return isinstance(node, ast.Name) and node.id == self.ctx

    def timeframe(self, node: ast.AST) -> int:
        """The number of the timeframe when node is `ctx.tf(text)`, -1 for anything else."""
        text = named(node.attr) if isinstance(node, ast.Attribute) else ""
        if not text or not self.owns(node.value):
            return -1
        self.plan.timeframes.setdefault(text, 0)
        return list(self.plan.timeframes).index(text)

    def refuse_timeframe(self, node: ast.Attribute) -> None:
        """Refuse what is read of a timeframe otherwise than as a series or an indicator."""
        whole = self.timeframe(node) >= 0
        if not whole and self.timeframe(node.value) < 0:
            return
        text = ast.unparse(node if whole else node.value)
        if whole:
            self.source.refuse(node, "a timeframe is not a value", f"write {text}.close[0]")
        if node.attr in SERIES:
            self.source.refuse(node, f"{node.attr} is a series", f"write {text}.{node.attr}[0] for the last closed bar")
        if node.attr in BAR_ROLLING:
            self.source.refuse(node, f"{node.attr} is a method", f"call it: {text}.{node.attr}(14)")
        if node.attr == "x":
            self.source.refuse(node, "features are not resampled", "write ctx.x.name[0] for the value known now")
        self.source.refuse(node, f"a timeframe has no `{node.attr}`", f"it has {', '.join([*SERIES, *BAR_ROLLING])}")
