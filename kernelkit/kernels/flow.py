"""What compiled code would pass over in silence: variables without a value, and operations that may raise.

A compiled function reads 0 where Python raises UnboundLocalError, and an exception that nobody catches ends a
decision as if it had decided nothing. So the first is refused, and for the second the code gets a `try`.
"""

import ast
import math

import numpy as np

from kernelkit.kernels.context import BAR_ROLLING

UFUNCS = {n for n, v in vars(np).items() if isinstance(v, np.ufunc)}
TYPES = {"float64", "float32", "int64", "int32", "bool_"}
# of numpy and math, on numbers; arrays are refused: compiled code does not check their bounds
FUNCTIONS = UFUNCS | TYPES | set(dir(math)) | {"round", "around", "clip", "where", "nan_to_num"}
CALM = (
    UFUNCS
    | TYPES
    | set(
        "abs min max float int bool round fabs sqrt exp expm1 log log2 log10 log1p pow floor ceil trunc copysign hypot "
        "isnan isinf isfinite sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc".split()
    )
)
PYTHON = {"abs", "max", "min", "float", "int", "bool", "range"}  # what generated text calls by Python's names
Names = set[str] | None  # None: this place is never reached


def defined_twice(roles: dict[str, str]) -> str | None:
    """A name under which two captured indicators were defined: generated text has one function for it.

    >>> defined_twice({"a": "indicator 1 decay", "b": "indicator 1 decay", "k": "constant"})
    'decay'
    """
    own = [role.split()[2] for role in roles.values() if role.startswith("indicator ")]
    return next((name for name in own if own.count(name) > 1), None)


def may_raise(node: ast.AST) -> bool:
    """Whether a node of the user's can end in an exception once it is compiled."""
    if isinstance(node, ast.Raise | ast.Assert | ast.Subscript):
        return True
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "range":
        step = node.args[2] if len(node.args) == 3 else ast.Constant(1)
        step = step.operand if isinstance(step, ast.UnaryOp) else step
        return not (isinstance(step, ast.Constant) and step.value)
    return name not in CALM


def root(node: ast.AST) -> str:
    """The name that a dotted expression begins with, empty where it begins otherwise.

    >>> root(ast.parse("np.random.rand", mode="eval").body)
    'np'
    """
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def of_numbers(function: ast.expr) -> bool:
    """Whether `module.name`, of math or numpy, computes with numbers.

    >>> [of_numbers(ast.parse(text, mode="eval").body) for text in ("np.log", "np.zeros", "np.random.rand")]
    [True, False, False]
    """
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.attr in FUNCTIONS


def unassigned(tree: ast.FunctionDef) -> ast.Name | None:
    """The first use of a variable that may not have a value there; conditions are not compared with each other.

    >>> tree = ast.parse("def f(a):\\n  if a:\\n    b = 1\\n  return b").body[0]
    >>> unassigned(tree).lineno
    4
    """
    a = tree.args
    given = {x.arg for x in (*a.posonlyargs, *a.args, *a.kwonlyargs)}
    flow = Flow({n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)} - given)
    flow.block(tree.body, set())
    return min(flow.found, key=lambda n: (n.lineno, n.col_offset), default=None)


class Flow:
    """Follows the names that have a value for certain through a function's branches and loops."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.found: list[ast.Name] = []
        self.exits: list[list[Names]] = []  # of each loop around: what `break` leaves with

    def read(self, node: ast.AST | None, have: set[str]) -> None:
        """Note the variables that an expression reads before they have a value; inner functions are not looked into."""
        if node is None or isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            return
        if isinstance(node, ast.Name):
            if isinstance(node.ctx, ast.Load) and node.id in self.names - have:
                self.found.append(node)
            return
        for part in ast.iter_child_nodes(node):
            self.read(part, have)

    def block(self, statements: list[ast.stmt], have: Names) -> Names:
        """The names that have a value after these statements."""
        for s in statements:
            if have is None:
                return None
            have = self.statement(s, have)
        return have

    def statement(self, s: ast.stmt, have: set[str]) -> Names:
        """The names that have a value after one statement."""
        if isinstance(s, ast.If):
            self.read(s.test, have)
            return both(self.block(s.body, set(have)), self.block(s.orelse, set(have)))
        if isinstance(s, ast.For | ast.While):
            return self.loop(s, have)
        if isinstance(s, ast.Break):
            self.exits[-1].append(have)
        if isinstance(s, ast.Return | ast.Raise | ast.Break | ast.Continue):
            self.read(s, have)
            return None
        if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            self.read(ast.copy_location(ast.Name(s.target.id, ast.Load()), s.target), have)
        self.read(s, have)
        return have if isinstance(s, ast.AnnAssign) and s.value is None else have | stored(s)

    def loop(self, s: ast.For | ast.While, have: set[str]) -> Names:
        """A loop that may not run at all leaves what was there before it."""
        self.read(s.iter if isinstance(s, ast.For) else s.test, have)
        self.exits.append([])
        inside = self.block(s.body, have | stored(s.target) if isinstance(s, ast.For) else set(have))
        left = self.exits.pop()
        if isinstance(s, ast.For):
            after: Names = set(have)
            if runs(s.iter):
                after = have | stored(s.target) if continues(s) else inside
        else:
            after = None if isinstance(s.test, ast.Constant) and s.test.value else set(have)
        after = self.block(s.orelse, after)
        for exit_ in left:
            after = both(after, exit_)
        return after


def both(a: Names, b: Names) -> Names:
    """What has a value whichever way was taken."""
    if a is None or b is None:
        return b if a is None else a
    return a & b


def stored(node: ast.AST) -> set[str]:
    """The variables that a statement, or a target, sets."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def continues(loop: ast.For) -> bool:
    """Whether an iteration may end early."""
    return any(isinstance(n, ast.Continue) for n in ast.walk(loop))


def runs(over: ast.expr) -> bool:
    """Whether it is a `range` that is not empty, as far as literals tell."""
    if not (isinstance(over, ast.Call) and isinstance(over.func, ast.Name) and over.func.id == "range"):
        return False
    try:
        return len(range(*(ast.literal_eval(a) for a in over.args))) > 0
    except (ValueError, TypeError):
        return False


class Kinds:
    """Which expressions of a function are floats for certain: a whole-number state would cut their fraction off."""

    def __init__(
        self,
        tree: ast.FunctionDef,
        floats: set[str],
        ctx: str | None,
        s: str | None,
        state: dict,
        event: str | None = None,
    ) -> None:
        self.ctx, self.s, self.state, self.floats, self.event = ctx, s, state, set(floats), event
        assigned = [n for n in ast.walk(tree) if isinstance(n, ast.Assign | ast.AugAssign)]
        for _ in assigned:  # until nothing is added: at most one name each time
            for n in assigned:
                if self.is_float(n.value):
                    self.floats |= stored(n)

    def is_float(self, node: ast.AST) -> bool:
        """Whether an expression is one, as far as its own text says."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, float)
        if isinstance(node, ast.Name):
            return node.id in self.floats
        if isinstance(node, ast.BinOp):
            return isinstance(node.op, ast.Div) or self.is_float(node.left) or self.is_float(node.right)
        if isinstance(node, ast.UnaryOp):
            return not isinstance(node.op, ast.Not) and self.is_float(node.operand)
        if isinstance(node, ast.IfExp):
            return self.is_float(node.body) or self.is_float(node.orelse)
        if isinstance(node, ast.Subscript):  # of a series, a ring or an indicator
            return isinstance(node.value, ast.Call) or root(node.value) in {self.ctx, self.s} - {None}
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == self.s:
                return isinstance(self.state.get(node.attr), float)
            if root(node) == self.event is not None:  # of a fill, or of an order that has ended
                return node.attr in ("quantity", "price", "fee", "filled")
            return root(node) == self.ctx is not None and node.attr in ("position", "cash", "equity")
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                many = node.func.id in ("abs", "min", "max") and any(self.is_float(a) for a in node.args)
                return many or node.func.id == "float"
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            series = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Attribute)
            return root(node.func) == self.ctx is not None and (series or method in BAR_ROLLING)
        return False
