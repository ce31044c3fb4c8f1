"""Lowering of a strategy of one asset that is called for each asset of a portfolio, on one account (rule X9).

Its text is what it is alone, with the asset in FRAME's focus. Other than alone are the account, which others share, its
orders, records and state, of which each asset has its own.
"""

import ast

from kernelkit.kernels import layout as L
from kernelkit.kernels.entries import failed, higher_bars, kernels, placed, value_at
from kernelkit.kernels.lower import Lowering
from kernelkit.kernels.lower_hooks import Part, part_text, turn_lines
from kernelkit.kernels.plan import Plan
from kernelkit.kernels.tools import HOOK, offset

TURN = f"{HOOK}turn"  # the decision of one asset


class EachLowering(Lowering):
    """Rewrites a function whose `ctx` is one asset of an account that has several."""

    here = "frame, _i, _account, _positions, _cash, _close"
    equity = f"f8(_account + {offset(L.ACCOUNT, 'equity')})"
    live = "own_orders(frame)"
    state_at = "_e"
    recorder = "own_record"

    def verb(self, node: ast.Call, name: str) -> ast.AST:
        """The call into the engine that an order method becomes."""
        code, word, texts = self.order(node, name)
        if name in ("target", "target_percent"):
            weigh = f"i8(frame + {offset(L.FRAME, 'weigh')})"
            return self.expression(f"call_weigh({weigh}, frame, {code}, {texts[0]}, -1.0)", node)
        entry = f"i8(frame + {offset(L.FRAME, 'act')})"
        return self.expression(f"call_act({entry}, frame, {code}, {word}, {', '.join(texts)})", node)


def entries_each(plan: Plan, parts: list[Part]) -> str:
    """What `entries` makes of a strategy, for one that is called for each asset, in column order."""
    risky = [site for site in plan.sites if site.kind in plan.risky]
    values = [f"    _v{site.slot} = f8({value_at(site)})" for site in risky]
    turn = [f"def {TURN}(frame: int, events: int) -> int:", *placed(plan), *higher_bars(risky), *values, *failed(plan)]
    events = f"i8(events_of(frame) + {offset(L.EVENTS, 'n')})"
    decide = [
        "def decide(frame: int) -> int:",
        f"    events = {events if plan.told else 0}",
        f"    for asset in range(i8(frame + {offset(L.FRAME, 'n_asset')})):",
        "        if is_called(frame, asset):",
        "            focus(frame, asset)",
        f"            if {TURN}(frame, events) != 0:",
        "                give_up(frame)",
        f"                return {L.RAISED}",
        "    defocus(frame)",
        *(["    if events > 0:", "        forget_told(frame, events)"] if plan.told else []),
    ]
    functions = [*(part_text(plan, k, part) for k, part in enumerate(parts))]
    functions += ["\n".join([*lines, "    return 0"]) for lines in ([*turn, *turn_lines(plan, parts)], decide)]
    return "\n\n".join([*functions, *kernels(plan)])
