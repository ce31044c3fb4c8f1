"""`why`: what one order asked for, what each bar did to it, why it ended, what other fill models would have done."""

from __future__ import annotations

import html
import io
import itertools
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kernelkit import checking
from kernelkit.errors import RunError, UsageError, arguments, message
from kernelkit.kernels import layout as L
from kernelkit.kernels.block import header_of
from kernelkit.kernels.job import Job
from kernelkit.kernels.session import Recorder
from kernelkit.kernels.switching import advance
from kernelkit.market.fill_model import NAMED, FillModel
from kernelkit.market.reasons import Reason
from kernelkit.market.venue import GUARDED_PATHS
from kernelkit.replaying import Life, Replay, live_orders, one_job, uncompiled
from kernelkit.result import one_trial
from kernelkit.strategy import Signal, Strategy
from kernelkit.telling import ROUTINE, SWITCHED, Teller

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

ENDS = 2  # rows that a page shows of either end of a long stretch of routine
COLUMNS = ("time", "open", "high", "low", "close", "volume", "rule", "what", "quantity", "price", "fee", "slippage")
# What the strategy gave, by verb: the names of the numbers that travel with it.
GIVEN = {
    L.V_ORDER: ("quantity",),
    L.V_LIMIT: ("quantity", "price"),
    L.V_STOP: ("quantity", "price"),
    L.V_STOP_LIMIT: ("quantity", "stop", "limit"),
    L.V_TRAIL: ("quantity", "trail"),
    L.V_TRAIL_TICKS: ("quantity", "ticks"),
    L.V_TRAIL_FRACTION: ("quantity", "fraction"),
    L.V_TRAIL_BPS: ("quantity", "bps"),
    L.V_TOUCHED: ("quantity", "trigger"),
    L.V_LIMIT_TOUCHED: ("quantity", "trigger", "limit"),
}
TRAILING = (L.V_TRAIL, L.V_TRAIL_TICKS, L.V_TRAIL_FRACTION, L.V_TRAIL_BPS)
BRACKET = (
    ("stop", "a", L.HAS_STOP),
    ("limit", "b", L.HAS_LIMIT),
    ("stop_loss", "a", L.HAS_STOP_LOSS),
    ("take_profit", "b", L.HAS_TAKE_PROFIT),
    ("entry", "c", L.HAS_ENTRY),
    ("display", "e", L.ENTRY_DISPLAY),
)


@dataclass(frozen=True)
class Why:
    """What became of an order and why; it reads as text, and its parts are data.

    ``asked`` is what the strategy gave, ``rounded`` what that came to (Q1-Q3); ``checks`` those of its submission, each
    with its rule and, where it has numbers, the limit and what was found in its place, and what was done (rejected,
    cut or delayed; empty where it passed); ``bars`` (`COLUMNS`) what happened to it, in order, and when (UTC; of a bar
    that did nothing, when it was known), with that bar: of a long routine the text shows its beginning and its end.
    ``fills`` are those of it in `kk.fills`; ``end`` its status, reason, sentence and time; ``models`` (model) what
    became of it under each other named fill model (rule F13).
    """

    order: int
    title: str
    asked: dict[str, Any]
    rounded: dict[str, Any]
    checks: pd.DataFrame
    bars: pd.DataFrame
    fills: pd.DataFrame
    end: dict[str, Any]
    models: pd.DataFrame
    note: str = ""

    @property
    def data(self) -> dict[str, Any]:
        """All of it as one dict."""
        names = ("order", "asked", "rounded", "checks", "bars", "fills", "end", "models", "note")
        return {n: getattr(self, n) for n in names}

    def _parts(self) -> list[tuple[str, list[tuple[str, str]]]]:
        given = ", ".join(f"{k}={_short(v)}" for k, v in self.asked.items())
        kept = ", ".join(f"{k} {_short(v)}" for k, v in self.rounded.items())
        asked = [("asked", given), ("rounded (Q1-Q3)", kept)]
        done = {"": "passed", "rejected": "NOT PASSED"}
        checks = [(r.rule, f"{done.get(r.done, r.done.upper())}: {r.what}") for r in self.checks.itertuples()]
        status = "" if self.end["status"] == "filled" else f"{self.end['status']}. "
        end = [(checking.moment(self.end["time"]), f"{status}{self.end['sentence']}")]
        models = [(r.model, r.what) for r in self.models.itertuples()]
        note = [("", self.note)] if self.note else []
        return [
            ("What was asked", asked),
            ("When it was submitted", checks),
            ("Bar by bar", self._story() + note),
            ("How it ended", end),
            ("Under other fill models", models),
        ]

    def _story(self) -> list[tuple[str, str]]:
        """The rows of ``bars`` but the end, which is told apart; of a long routine its beginning and its end."""
        rows = list(zip(*(self.bars[n].values for n in ("time", "rule", "what")), strict=True))
        if rows and rows[-1][2].startswith(self.end["status"]):
            rows.pop()
        out: list[tuple[str, str]] = []
        for routine, group in itertools.groupby(rows, lambda row: row[2].startswith(ROUTINE)):
            own = [(f"{checking.moment(time)}  {rule}", what) for time, rule, what in group]
            if routine and len(own) > 2 * ENDS + 1:
                own[ENDS:-ENDS] = [("...", f"{len(own) - 2 * ENDS} more like these; .bars has each.")]
            out += own
        return out

    def __repr__(self) -> str:
        out = [self.title]
        for head, rows in self._parts():
            out += ["", head, *(f"  {a + ': ' if a else ''}{b}" for a, b in rows or [("", "nothing")])]
        return "\n".join(out)

    def _repr_html_(self) -> str:
        out = [f"<b>{html.escape(self.title)}</b><table>"]
        for head, rows in self._parts():
            out.append(f'<tr><th colspan="2" style="text-align:left">{head}</th></tr>')
            cells = ((html.escape(a), html.escape(b)) for a, b in rows or [("", "nothing")])
            style = 'style="text-align:left"'
            out += [f"<tr><td {style}>{a}</td><td {style}>{b}</td></tr>" for a, b in cells]
        return "".join([*out, "</table>"])


@arguments()
def why(res: xr.Dataset, order: int, **sel: Any) -> Why:
    """Explain one order of a result: what it asked for, what each bar did to it by which rule, why it ended.

    ``order`` is its id in `kk.orders`; ``sel`` narrows the result down to one trial, as `res.sel` does. The trial is
    run again around the order, uncompiled, and what is told is checked against the logs. Then the same trial is run
    under each other named fill model up to the bar in which the order ended: where it had gone another way before the
    order was submitted, that is said, as an order of this id then is another one. Of a walk-forward it is the stitched
    account, with the parameters that were chosen for each fold, under other fill models too.

    Raises UsageError unless one trial is left, and for an id that it does not have; RunError where the result's
    strategy is not there to be run again.

    >>> import kernelkit as kk
    >>> @kk.strategy
    ... def wait(ctx):
    ...     if ctx.i == 0:
    ...         ctx.limit(1.0, 0.5 * ctx.close[0])
    >>> told = why(kk.backtest(kk.data.load("sp500_index"), wait), 1)
    >>> told.end["sentence"], told.asked["quantity"]
    ('It was live when the data ended (O10).', 1.0)
    """
    curves, trial = one_trial(res, sel)
    with redirect_stdout(io.StringIO()):  # what the strategy prints was printed before
        logs = curves.logs(trial)
    recipe, trial = curves.alone(trial)
    strategy: Any = recipe.strategy  # a resumed run may have its text only
    if not isinstance(strategy, (Strategy, Signal)):
        fix = "Pass strategy= to kk.resume."
        raise RunError(message("kk.why", "a strategy of which only the text is known", "its function", fix))
    found = logs.orders[logs.orders["id"] == order]
    if not len(found):
        ids = logs.orders["id"]
        wanted = f"one of {ids.min()} to {ids.max()}" if len(ids) else "none, as nothing was ordered"
        raise UsageError(message("order", order, wanted, "kk.orders(res) lists them."))
    job = one_job(recipe, trial)
    replay = Replay(recipe, job, found[0])
    with redirect_stdout(io.StringIO()):
        life = replay.live()
        models = others(replay, life)
    teller = Teller(
        job, recipe.assets[int(found[0]["asset"]) if recipe.shared else trial % len(recipe.assets)], found[0]
    )
    own = logs.fills[logs.fills["order"] == order]
    rows = told(teller, life, own, found[0])
    return assembled(teller, replay, life, rows, own, models)


def told(teller: Teller, life: Life, own: np.ndarray, final: Any) -> list[dict[str, Any]]:
    """The rows of what was heard; raises RunError where its fills and its end are not those of the logs."""
    rows = teller.rows(life)
    names = ("time", "lots", "ticks", "reference", "rule", "fee", "slippage")
    wanted = [tuple(f[n].item() for n in names) for f in own]
    ends = [tuple(e.said[n] for n in ("status", "reason", "time")) for _, e in life.events if e.what == "end"]
    last = tuple(final[n].item() for n in ("status", "reason", "t_end"))
    if life.unheard == 0 and (teller.fills != wanted or ends[-1:] != [last]):
        found = f"{len(teller.fills)} fills and {ends[-1:] or 'no end'} of order {final['id']}"
        fix = "Please report this with the strategy's source."
        raise RunError(message("running the order again", found, f"{len(wanted)} fills and {last}", fix))
    return rows


def expiry(number: float) -> str:
    """The time that an order carries in a number's bits (O11)."""
    return str(np.datetime64(int(np.float64(number).view("i8")), "ns"))


def given_of(life: Life) -> dict[str, Any]:
    """What the strategy passed, by name; of an order that it did not pass, by whom it was given."""
    asked = life.witness.asked
    if asked is None:
        return {}
    said = asked.said
    if asked.step == "close_out":
        return {"by": "close_out (F9)"}
    if asked.step == "switch":
        return {"by": "the switch of a walk-forward (T9)"}
    if asked.step == "liquidation":
        return {"by": "liquidation (L5)"}
    if "wish" in said:
        return {"target" if said["verb"] == L.V_TARGET else "target_percent": float(said["wish"])}
    verb, mask, tif = int(said["verb"]), int(said["tif"]) // 8, int(said["tif"]) % 8
    if verb == L.V_BRACKET:
        out = {"quantity": float(said["q"])}
        out |= {name: float(said[key]) for name, key, bit in BRACKET if mask & bit}
        terms: dict[str, Any] = {"tif": L.TIFS[tif]} | ({"expires": expiry(said["d"])} if tif == L.GTD else {})
        return out | terms | ({"post_only": True} if mask & L.ENTRY_POST_ONLY else {})
    out = {name: float(said[key]) for name, key in zip(GIVEN[verb], "qab", strict=False)}
    if verb in TRAILING and mask & L.HAS_OFFSET:
        out["offset"] = float(said["b"])
    more: dict[str, Any] = {"tif": L.TIFS[tif]}
    if tif == L.GTD:
        more["expires"] = expiry(said["c"])
    if mask & L.HAS_DISPLAY:
        more["display"] = float(said["d"])
    flags = {"post_only": L.POST_ONLY, "reduce_only": L.REDUCE_ONLY}
    return out | more | {name: True for name, bit in flags.items() if mask & bit}


def assembled(
    teller: Teller,
    replay: Replay,
    life: Life,
    rows: list[dict[str, Any]],
    own: np.ndarray,
    models: list[dict[str, Any]],
) -> Why:
    """The parts as tables."""
    import pandas as pd

    final = replay.final
    first = replay.alive(life.state, life.witness.id) if life.state is not None else None
    reason = Reason(int(final["reason"]))
    given = given_of(life)
    title = f"Order {final['id']}: {titled(teller, final if first is None else first, given)}"
    checks = pd.DataFrame(checking.checks(teller, life.witness.checks), columns=list(checking.COLUMNS))
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"time": "datetime64[ns]"})
    fills = pd.DataFrame(
        {
            "time": own["time"].astype("datetime64[ns]"),
            "side": np.where(own["lots"] > 0, "buy", "sell"),
            "quantity": np.abs(own["lots"]) * teller.lot,
            "price": teller.prices(own["ticks"]),
            "reference": teller.prices(own["reference"]),
            "fee": own["fee"],
            "slippage": own["slippage"],
            "at": np.array(L.PLACES)[own["rule"]],
        }
    )
    end = {
        "status": L.STATUSES[int(final["status"])],
        "reason": reason.text,
        "sentence": SWITCHED if life.events and life.events[-1][1].step == "switch" else reason.sentence,
        "time": np.datetime64(int(final["t_end"]), "ns"),
        "filled": teller.quantity(final["filled"]),
    }
    notes = [fold_of(replay.recipe, life.born), teller.nearest(life) if life.quiet else ""]
    if life.unheard:
        notes.append(f"{life.unheard} more bars, like these, are not told: there are too many.")
    return Why(
        int(final["id"]),
        title,
        given,
        teller.rounded(final if first is None else first),
        checks,
        table,
        fills,
        end,
        pd.DataFrame(models, columns=["model", "same", "status", "reason", "filled", "price", "time", "what"]),
        " ".join(n for n in notes if n),
    )


def titled(teller: Teller, order: Any, given: dict[str, Any]) -> str:
    """What it was when it was submitted; of one without lots what it was to be."""
    asked, lots = next(iter(given.items()), ("quantity", 0.0)), int(order["lots"])
    size = teller.size(lots)
    side = "buy" if lots >= 0 else "sell"
    if lots == 0 and asked[0] == "quantity":
        side, size = "sell" if asked[1] < 0.0 else "buy", f"{abs(asked[1]):.10g}"
    elif lots == 0:
        side, size = asked[0], _short(asked[1])
    return f"{side} {size} {teller.asset}, {L.KINDS[int(order['kind'])]}, {L.TIFS[order['tif']]}"


def fold_of(recipe: Any, bar: int) -> str:
    """Of a walk-forward in which fold, and with which parameters, it decided at a bar; else nothing."""
    if "walk_forward" not in recipe.params:
        return ""
    chosen_in = recipe.params["walk_forward"]
    later = sum(one.bar > bar and not one.rests for one in recipe.switches)
    k = len(chosen_in) - 1 - later
    if k < 0:
        return ""
    chosen = ", ".join(f"{name}={_short(value)}" for name, value in chosen_in[k].items())
    return f"It was given in fold {k}, with {chosen}."


def others(replay: Replay, life: Life) -> list[dict[str, Any]]:
    """What became of the order's id under each other named model, by the end of the bar in which it ended."""
    job = replay.job
    now = list(job.fill_models[int(job.trials[0]["fill_model"])])
    guarded = any(v.backing.long and (v.backing.isolated or not job.plan.shared) for v in job.venues)
    out = []
    for name, model in NAMED.items():
        if list(model.codes()) == now:
            continue
        if model.market == "same_close" and any(v.rules and v.rules.latency for v in job.venues):
            out.append(nothing(name, "refused with a latency (H5)"))
        elif guarded and model.path not in GUARDED_PATHS:
            out.append(nothing(name, "refused where an account can be liquidated (L3)"))
        else:
            out.append(under(replay, life, name, model))
    return out


def nothing(name: str, what: str) -> dict[str, Any]:
    """A row for a model under which there is nothing to compare."""
    blank = {"status": "", "reason": "", "filled": np.nan, "price": np.nan, "time": np.datetime64("NaT"), "what": what}
    return {"model": name, "same": False, **blank}


def under(replay: Replay, life: Life, name: str, model: FillModel) -> dict[str, Any]:
    """The row of one model: the trial run under it, from its beginning."""
    trials = replay.job.trials.copy()
    trials["fill_model"] = 0
    job = replace(replay.job, trials=trials, fill_models=[model.codes()])
    python = uncompiled(replay.recipe, job)
    try:
        return outcome(replay, life, name, job, Recorder(job, 0, python=python))
    finally:
        if python is not None:
            python.close()


def outcome(replay: Replay, life: Life, name: str, job: Job, run: Recorder) -> dict[str, Any]:
    """Run to the order's submission, compare, go on to its end, and say what became of it there."""
    from kernelkit.kernels.session import Failed

    number, end, switches = life.witness.id, replay.end, replay.recipe.switches
    apart = ""
    try:
        if life.born + 1 < end and life.state is not None:
            advance(run, life.born + 1, switches)
            apart = difference(life.state, run.block, job)
        if life.last + 1 < end:
            advance(run, life.last + 1, switches)
            waiting = live_orders(run.block)
            logs = run.logs()
        else:
            advance(run, max((one.bar for one in switches), default=0), switches)
            run.call(run.outcome, end)
            waiting, logs = np.zeros(0, L.ORDER), run.logs()
            if run.statuses()[0] != L.DONE:
                raise Failed(int(run.statuses()[0]), 0, 0)
    except Failed:
        return nothing(name, "under it the strategy or a cost model stops with an error")
    teller = Teller(job, "", replay.final)
    found = [o for part in (logs.orders, waiting) for o in part if int(o["id"]) == number]
    same = (
        not apart and bool(found) and all(found[0][n] == replay.final[n] for n in ("kind", "tif", "t_submit", "asset"))
    )
    if not found:
        gone = f"no order of this id: {apart or 'the trial has gone another way'}"
        return nothing(name, gone)
    order, own = found[0], logs.fills[logs.fills["order"] == number]
    status = L.STATUSES[int(order["status"])]
    reason = Reason(int(order["reason"]))
    lots = np.abs(own["lots"])
    price = float((teller.prices(own["ticks"]) * lots).sum() / lots.sum()) if len(own) else np.nan
    time = int(own["time"][-1]) if len(own) else int(order["t_end"])
    when = np.datetime64(time, "ns") if time else np.datetime64("NaT")
    what = f"{status}, {reason.sentence}" if order["status"] > L.FILLED else f"{status} when that bar ended"
    if len(own):
        end_of = "" if order["status"] == L.FILLED else f", then {what}"
        what = f"filled {teller.size(lots.sum())} at {price:.10g}, {checking.moment(when)}{end_of}"
    if not same:
        what = f"another order: {apart or 'the trial has gone another way'}; this id: {what}"
    row = {"status": status, "reason": reason.text, "filled": teller.quantity(lots.sum()), "price": price, "time": when}
    return {"model": name, "same": same, **row, "what": what}


def difference(one: np.ndarray, other: np.ndarray, job: Job) -> str:
    """How two states after the same decision differ, empty where they do not in what orders and accounts have."""
    accounts = [b[int(header_of(b)["off_account"]) :][: L.ACCOUNT.itemsize].view(L.ACCOUNT)[0] for b in (one, other)]
    at = [int(header_of(b)["off_positions"]) for b in (one, other)]
    held = [
        b[k : k + L.POSITION.itemsize * job.n_asset].view(L.POSITION)["lots"].tolist()
        for b, k in zip((one, other), at, strict=True)
    ]
    names = ["id", "asset", "kind", "tif", "lots", "filled", "price", "trigger", "parent", "group", "t_submit"]
    live = [live_orders(b)[names].tolist() for b in (one, other)]
    before = "before it was submitted the trials had gone apart: "
    if accounts[0]["n_fills"] != accounts[1]["n_fills"]:
        return f"{before}{accounts[0]['n_fills']} fills, and {accounts[1]['n_fills']} under this model"
    if accounts[0]["cash"] != accounts[1]["cash"]:
        return f"{before}cash of {accounts[0]['cash']:.10g}, and {accounts[1]['cash']:.10g} under this model"
    if held[0] != held[1]:
        return f"{before}other positions"
    if header_of(one)["next_id"] != header_of(other)["next_id"]:
        return f"{before}{header_of(one)['next_id'] - 1} orders, and {header_of(other)['next_id'] - 1} under this model"
    return "" if live[0] == live[1] else f"{before}other live orders"


def _short(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)
