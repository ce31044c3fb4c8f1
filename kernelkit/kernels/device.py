"""Kernels as one program without addresses of code, which is what a GPU can run (docs/decisions/0013-gpu.md).

The texts are those that the processor's compiler takes. There the engine calls a strategy, its indicators and cost
models by address, so that each is compiled once; here each such call names its function.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

from kernelkit.kernels import layout as L
from kernelkit.kernels import memory
from kernelkit.kernels.compile import bare, core, whole
from kernelkit.kernels.job import Job
from kernelkit.kernels.session import units_of

FUNCTIONS = ("coast", "meet", "ruin", "match", "steer", "act")  # FRAME's that every strategy has
NAMED = {"call_act": "act", "call_steer": "steer"}
NUMBERED = {"call_kernel": "indicator", "call_model": "model"}
KERNEL = "which: int, frame: int, slot: int, column: int, first: int, last: int, out: int, n: int"
# FRAME's other functions, and what is 0 in all trials on a device. No other record has fields of these names.
ENTRIES = frozenset("walk log happen guard judge tell arrive guard_all twice weigh".split())
OFF = frozenset("logging keeps told shared own curve".split())
LANES = ("gbm", "jumps", "heston", "garch", "students")


def copied(function: Any, names: Mapping[str, Any]) -> Any:
    """A plain function that takes what it calls from here."""
    return FunctionType(function.__code__, {**function.__globals__, **names})


@dataclass(frozen=True, eq=False)
class Binding:
    """How a program is made: what stands for the operations of `memory`, and what makes a function of a plain one.

    `made` gets the function's node, too: its annotations are its signature.
    """

    operations: Mapping[str, Any]
    made: Callable[[ast.FunctionDef, Any], Any]


def whole_number(address: int) -> int:
    """The int64 at an address as Python's own: user code divides by it, and is asked what it is."""
    return int(memory.i8(address))


PYTHON = Binding({**vars(memory), "i8": whole_number}, lambda node, function: function)


class Direct(ast.NodeTransformer):
    """Names the function in each call by address; `functions` are FRAME's by field: one without is never called.

    What only others would call is left out of the `engine`'s text: a third of a program, which takes long to compile.
    Strategies and models stay as they were written: a 0 there is a number.
    """

    def __init__(self, functions: Mapping[str, str], engine: bool) -> None:
        self.functions = functions
        self.zeros = (ENTRIES - functions.keys()) | OFF if engine else frozenset[str]()
        self.known = set[ast.AST]()  # fields that are 0, and what follows from them

    def told(self, value: int, node: ast.AST) -> ast.AST:
        """What stands for a node whose value is known."""
        new = ast.copy_location(ast.Constant(value), node)
        self.known.add(new)
        return new

    def is_known(self, node: ast.AST, value: bool) -> bool:
        """Whether a node is known to be this truth value, and no number."""
        return isinstance(node, ast.Constant) and node in self.known and node.value is value

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A field of FRAME that is 0 in all trials."""
        self.generic_visit(node)
        return self.told(0, node) if isinstance(node.ctx, ast.Load) and node.attr in self.zeros else node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        """`f.guard != 0` where there is none."""
        self.generic_visit(node)
        match node:
            case ast.Compare(ast.Constant(a), [ast.Eq() | ast.NotEq() as how], [ast.Constant(b)]):
                if node.left in self.known:
                    return self.told((a == b) == isinstance(how, ast.Eq), node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        """What a known condition decides, or leaves to the others: the engine asks conditions only for their truth."""
        self.generic_visit(node)
        ends = isinstance(node.op, ast.Or)  # a condition of this value decides
        left = [v for v in node.values if not self.is_known(v, not ends)]
        if not left:
            return self.told(not ends, node)
        if self.is_known(left[0], ends):
            return self.told(ends, node)
        node.values = left
        return node if len(left) > 1 else left[0]

    def visit_If(self, node: ast.If) -> Any:
        """The branch that is taken."""
        self.generic_visit(node)
        if not (isinstance(node.test, ast.Constant) and node.test in self.known):
            return node
        return (node.body if node.test.value else node.orelse) or ast.copy_location(ast.Pass(), node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """`call(f.meet, frame)` is `meet(frame)`."""
        name, given = node.func.id if isinstance(node.func, ast.Name) else "", node.args
        entry = given[0].attr if given and isinstance(given[0], ast.Attribute) else ""
        self.generic_visit(node)
        given = node.args
        if name == "call" or (name == "call_kernel" and entry == "tell"):
            if entry not in self.functions:
                return ast.copy_location(ast.Constant(L.DONE), node)
            name, given = self.functions[entry], given[1:]
        elif name in NAMED:
            name, given = NAMED[name], given[1:]
        elif name in NUMBERED:
            name = NUMBERED[name]
        elif name in ("max", "min") and len(given) > 2:
            given = [self.visit(ast.copy_location(ast.Call(node.func, given[:-1], []), node)), given[-1]]
        else:
            return node
        return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), given, []), node)


def chain(name: str, arguments: str, result: str, functions: Iterable[str]) -> str:
    """The text of a function that calls one of several by its number, from 1 on.

    >>> print(chain("model", "which: int, model: int", "float", ["entry_1"]))
    def model(which: int, model: int) -> float:
        if which == 1:
            return entry_1(model)
        return NAN
    <BLANKLINE>
    """
    which, *passed = (a.partition(":")[0] for a in arguments.split(", "))
    lines = [f"def {name}({arguments}) -> {result}:"]
    for k, function in enumerate(functions):
        lines += [f"    if {which} == {k + 1}:", f"        return {function}({', '.join(passed)})"]
    return "\n".join([*lines, "    return" if result == "None" else "    return NAN", ""])


@dataclass
class Module:
    """One text's functions, and the namespace in which they are compiled."""

    name: str
    text: str
    functions: Mapping[str, str] = field(default_factory=dict)
    engine: bool = True  # else what a user wrote is in it

    def __post_init__(self) -> None:
        tree = ast.fix_missing_locations(Direct(self.functions, self.engine).visit(ast.parse(self.text)))
        self.nodes = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self.done: set[str] = set()
        self.home: dict[str, Any] = {"__name__": f"kernelkit_device_{self.name}"}
        exec(compile(tree, f"<{self.name}>", "exec"), self.home)

    def called(self, name: str) -> Iterator[str]:
        """Names that a function calls."""
        for node in ast.walk(self.nodes[name]):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id


class Program:
    """Modules whose functions call each other: those of their own by name, else those that `shared` names."""

    def __init__(self, binding: Binding, modules: Iterable[Module], shared: Mapping[str, tuple[Module, str]]) -> None:
        self.binding, self.modules, self.shared = binding, list(modules), shared
        for module in self.modules:
            module.home.update(binding.operations)

    def entry(self, name: str) -> Any:
        """A function of the first module."""
        return self.link(self.modules[0], name)

    def link(self, module: Module, name: str) -> Any:
        """A function, and before it all that it calls."""
        if name not in module.done:
            module.done.add(name)
            for called in dict.fromkeys(module.called(name)):
                found = (module, called) if called in module.nodes else self.shared.get(called)
                if found is not None:
                    module.home[called] = self.link(*found)
            module.home[name] = self.binding.made(module.nodes[name], module.home[name])
        return module.home[name]


def paths(kind: str, binding: Binding) -> Program:
    """The program of `lanes.one_path` for one of LANES."""
    module = Module("lanes", whole("lanes"))
    return Program(binding, [module], {"lane": (module, f"lane_{kind}")})


class Device:
    """The program of a strategy: engine, decision, indicators and cost models, and their numbers.

    `kinds` are those of its plan, `units` FRAME's functions by field as `session.units_of` has them.
    """

    def __init__(
        self,
        text: str,
        kinds: tuple[str, ...],
        models: tuple[str, ...],
        units: tuple[tuple[str, str], ...],
        binding: Binding,
    ) -> None:
        functions = {name: name for name in FUNCTIONS} | dict(units)
        self.models = models
        kernels = [kind or f"_own_{k}" for k, kind in enumerate(kinds)]
        each = list(dict.fromkeys(kernels))
        self.kernels = [1 + each.index(kind) for kind in kernels]
        self.addresses = dict.fromkeys(functions, 1)  # FRAME is asked whether they are there
        entries = [f"entry_{k + 1}" for k in range(len(models))]
        threads = ast.unparse(bare((Path(__file__).parent / "threads.py").read_text()))
        chains = [chain("model", "which: int, model: int", "float", entries), chain("indicator", KERNEL, "None", each)]
        engine = Module("engine", "\n".join([core(), threads, *chains]), functions)
        strategy = Module("strategy", text, functions, engine=False)
        costs = {
            name: Module(name, model, functions, engine=False) for name, model in zip(entries, models, strict=True)
        }
        shared = {name: (strategy, name) for name in strategy.nodes} | {n: (engine, n) for n in engine.nodes}
        shared |= {name: (module, "entry") for name, module in costs.items()}
        self.program = Program(binding, [engine, strategy, *costs.values()], shared)

    def model(self, text: str) -> int:
        """What VENUE says of a cost model."""
        return 1 + self.models.index(text)


_made = lru_cache(maxsize=8)(Device)


def device_of(job: Job, binding: Binding) -> Device:
    """The program of a job; the last few are kept, with what has been compiled of them."""
    models = dict.fromkeys(t for v in job.venues for t in (v.fee, v.slippage) if t)
    return _made(job.text, job.plan.kinds, tuple(models), tuple(sorted(units_of(job).items())), binding)
