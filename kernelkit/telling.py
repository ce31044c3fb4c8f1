"""What was heard of an order, in words: each event with its rule and its numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernelkit.checking import check, moment
from kernelkit.kernels import layout as L
from kernelkit.kernels.job import Job
from kernelkit.market.reasons import Reason
from kernelkit.replaying import Life
from kernelkit.witness import Heard

TOUCHED = (L.MARKET_TOUCHED, L.LIMIT_TOUCHED)
LIMITED = (L.STOP_LIMIT, L.LIMIT_TOUCHED, L.TRAILING_LIMIT)
RULES = re.compile(r"\(([A-Z]\d+(?:, [A-Z]\d+)*)\)")
NEW_NUMBERS, NOT_REACHED, MOVED = "new numbers: ", "not reached: ", "its trigger moved from "
ROUTINE = (NEW_NUMBERS, NOT_REACHED, MOVED)  # of these a page shows the first and the last in a row
SWITCHED = "The walk-forward went on with other parameters (T9)."
DONE = ("act", "trigger", "fill", "no_volume", "trail", "wake", "split")  # beside these a look says nothing


class Teller:
    """Tells events in the units of one asset."""

    def __init__(self, job: Job, asset: str, final: Any) -> None:
        trial = job.trials[0]
        self.asset, self.venue = asset, job.venue_of(trial, int(final["asset"]))
        self.sizes = self.venue.sizes_of(job.n_asset)[int(final["asset"])]
        place = 1 + int(final["asset"]) if job.plan.shared else int(trial["dataset"])
        self.table = job.tables[place]
        self.lot = self.table.lot
        codes = job.fill_models[int(trial["fill_model"])]
        self.model = dict(zip(L.FILL_MODEL.names or (), codes, strict=True))
        self.thr = 0 if self.model["limit"] == L.TOUCH else 1
        self.fills: list[tuple[Any, ...]] = []
        self.shared = job.plan.shared
        self.final = final

    def price(self, k: int) -> float:
        """Ticks as a price."""
        return float(k) * self.table.tick if self.table.inverse == 0 else float(k) / float(self.table.inverse)

    def prices(self, ticks: NDArray[Any]) -> NDArray[Any]:
        """The same of many, NaN for 0."""
        return np.array([self.price(int(k)) if k else np.nan for k in ticks], "f8")

    def worth(self, k: int, lots: int) -> float:
        """O15: what so many lots are worth at `k` ticks, without a sign, in the account's currency."""
        each = self.price(k) if self.table.mark == L.C_CLOSE_P else 1.0 / self.price(k)
        return each * (abs(lots) * self.lot * self.table.multiplier)

    def quantity(self, lots: int) -> float:
        """Lots as a quantity, without its sign."""
        return abs(int(lots)) * self.lot

    def size(self, lots: int) -> str:
        """Lots as a quantity in text."""
        return f"{self.quantity(lots):.10g}"

    def text(self, k: int) -> str:
        """Ticks as a price in text."""
        return f"{self.price(k):.10g}"

    def rows(self, life: Life) -> list[dict[str, Any]]:
        """All that was heard, a row for each event that says something."""
        out: list[dict[str, Any]] = []
        shut: list[Heard] = []  # bars in turn that the venue does not match
        for bar in dict.fromkeys(b for b, _ in life.events):
            own = [e for b, e in life.events if b == bar]
            if [e.what for e in own] == ["dark"]:
                shut += own
                continue
            out += self.closed(shut)
            shut = []
            if not any(e.what in DONE for e in own):
                out += [self.row(e, *self.missed(e)) for e in own if e.what == "look"][-1:]
            act: Heard | None = None
            for e in own:
                act = e if e.what == "act" else act
                out += self.told(e, act)
        return out + self.closed(shut)

    def closed(self, shut: list[Heard]) -> list[dict[str, Any]]:
        """One row for bars that the venue does not match."""
        if not shut:
            return []
        more = f", nor in the {len(shut) - 1} after it" if len(shut) > 1 else ""
        return [self.row(shut[0], "H1, H2", f"the venue did not match in this bar{more}: closed, or down.")]

    def row(self, e: Heard, rule: str, what: str, **numbers: Any) -> dict[str, Any]:
        """One row of the table of bars: when it happened, or when the bar that it happened in was known."""
        bar = e.bar
        happened = e.said.get("time") or bar.get("known_at")
        time = np.datetime64("NaT" if happened is None else int(happened), "ns")
        prices = {n: self.price(bar[n]) if bar else np.nan for n in ("open", "high", "low", "close")}
        rule = f"{rule}, F16" if bar.get("finer") else rule
        blank = {"quantity": np.nan, "price": np.nan, "fee": np.nan, "slippage": np.nan}
        return {
            "time": time,
            **prices,
            "volume": bar.get("volume", np.nan),
            "rule": rule,
            "what": what,
            **blank,
            **numbers,
        }

    def told(self, e: Heard, act: Heard | None) -> Iterable[dict[str, Any]]:
        """The rows of one event; `act` is the last attempt of its bar."""
        said = e.said
        if e.what == "trigger":
            level = said["order"]["trigger"]
            limit = " A limit from then on." if said["order"]["kind"] in LIMITED else ""
            what = f"triggered: its {self.text(level)} was reached, at {self.text(said['reference'])}.{limit}"
            return [self.row(e, self.rule(e, said["order"], trigger=True), what)]
        if e.what == "fill":
            return [self.filled(e, act)]
        if e.what == "cut":
            cash, kept = said["cash"], said["answer"]
            shown = f"{self.size(said['lots'])} would need {cash['need']:.10g} with a fee of {cash['fee']:.10g}"
            left = "the venue rejects it" if abs(kept) >= 1 << 62 else f"{self.size(kept)} of them are left"
            return [self.row(e, "A2, A3", f"not affordable: {shown}, and there are {cash['have']:.10g}; {left}.")]
        if e.what == "no_volume":
            return [self.row(e, "P1, P2", "reached, but what the venue allows of the bar's volume was used up.")]
        if e.what == "exchange" and "paid_for" not in said and act is not None and act.said["order"]["tif"] == L.FOK:
            return [self.row(e, "O3", "FOK: not all of it could be filled, so nothing was.")]
        if e.what == "trail":
            return [self.row(e, "F8", f"{MOVED}{self.text(said['was'])} to {self.text(said['now'])}.")]
        if e.what == "wake":
            own = said["order"]
            level = own["trigger"] if own["kind"] == L.STOP else own["price"]
            asks = f"{self.size(own['lots'])} at {self.text(level)}"
            what = f"its entry (order {said['parent']}) was filled; it asks for {asks}."
            return [self.row(e, "O7, F6", what)]
        if e.what == "split":
            own, ratio = said["order"], said["ratio"]
            what = f"a split by {ratio:.10g}: {self.size(own['lots'])}, of which {self.size(own['filled'])} filled."
            return [self.row(e, "E2", what)]
        if e.what == "replace":
            given = zip(("quantity", "limit", "trigger"), (said["q"], said["p"], said["trigger"]), strict=True)
            shown = ", ".join(
                f"{name} {value:.10g}" for bit, (name, value) in enumerate(given) if said["given"] >> bit & 1
            )
            what = f"{NEW_NUMBERS}{shown}" if said["answer"] else f"the strategy's {shown} was not taken"
            later = f", which take effect at {moment(said['until'])}" if said["until"] else ""
            return [self.row(e, "O16, H4" if later else "O16", f"{what}{later}.")]
        if e.what == "judged":
            found = check(self, said["check"])
            return [self.row(e, found["rule"], f"asked of its new numbers: {found['what']}")] if found else []
        if e.what == "call_off":
            what = "the venue is down and did not take the strategy's cancel."
            if said["until"]:
                what = f"the venue is down: the strategy's cancel takes effect at {moment(said['until'])}."
            return [self.row(e, "H2, H4", what)]
        if e.what == "renew":
            return [self.row(e, "H4", "what the strategy asked for while the venue was down, or late, takes effect.")]
        if e.what == "end":
            if e.step == "switch":
                return [self.row(e, "T9", f"cancelled: {SWITCHED}")]
            reason = Reason(said["reason"])
            status = L.STATUSES[said["status"]]
            rule = ", ".join(RULES.findall(reason.sentence)) if reason else "O6"
            return [self.row(e, rule, f"{status}{': ' + reason.sentence if reason else '.'}")]
        return []

    def filled(self, e: Heard, act: Heard | None) -> dict[str, Any]:
        """The row of a fill, with what the model and the venue said to it."""
        said, order = e.said, e.said["order"]
        names = ("time", "lots", "k", "reference", "rule", "fee", "slippage")
        self.fills.append(tuple(said[n] for n in names))
        triggered = act is not None and not act.said["order"]["marks"] & L.TRIGGERED
        before = act.said["order"] if act is not None and e.step != "path" else order
        rule = self.rule(e, before if triggered or act is None else order)
        side = "bought" if said["lots"] > 0 else "sold"
        parts = [f"{side} {self.size(said['lots'])} at {self.text(said['k'])}"]
        if said["k"] != said["reference"]:
            parts.append(f"slipped from {self.text(said['reference'])} (C1)")
        parts.append(f"fee {said['fee']:.10g}")
        rest = order["lots"] - order["filled"]
        if said["left"] is not None:
            parts.append(f"the volume left {self.size(said['left'])} (P1)")
        if said["lots"] != rest:
            parts.append(f"of {self.size(rest)} that were left of it")
        cash = said["cash"]
        if cash is not None and cash["answer"]:
            held, after = cash["held"], cash["held"] + cash["lots"]
            less = abs(after) <= abs(held) and after * held >= 0
            covers = f"{cash['have']:.10g} of buying power covers {cash['need']:.10g} and the fee"
            parts.append(f"{'it reduces, so no cash is asked' if less else covers} (A2)")
        numbers = {"quantity": self.quantity(said["lots"]), "price": self.price(said["k"]), "fee": said["fee"]}
        return self.row(e, rule, ", ".join(parts) + ".", **numbers, slippage=said["slippage"])

    def rule(self, e: Heard, order: dict[str, Any], trigger: bool = False) -> str:
        """The rule by which a step of the bar acts on an order as it stood."""
        kind, triggered, step = order["kind"], bool(order["marks"] & L.TRIGGERED) and not trigger, e.step
        if step in ("close_out", "liquidation"):
            return "F9" if step == "close_out" else "L3, L5"
        if step == "path":
            return "F12"
        closing = ", F12" if self.model["path"] == L.CLOSE_ONLY else ""
        if order["tif"] in (L.ON_OPEN, L.ON_CLOSE):
            return f"O12{closing}"
        if step == "woken":
            return "F7"
        if kind == L.MARKET:
            return f"F10{closing}" if self.model["market"] != L.NEXT_OPEN else "F1"
        if triggered and kind not in LIMITED:
            return "P3"
        if kind == L.LIMIT or triggered:
            return f"F1{closing}" if step == "open" else "F5"
        gap = ", F11" if self.model["stop_gap"] != L.GAP_OPEN else ""
        if kind in TOUCHED:
            return f"F14{closing}"
        base = f"{'F1' if step == 'open' else 'F2'}{gap}{closing}"
        return f"{base}, F3" if kind in LIMITED else base

    def missed(self, e: Heard) -> tuple[str, str]:
        """Why a bar that was looked at did not act on it: rule and sentence."""
        order, bar = e.said["order"], e.bar
        if order["t_active"] > bar["open_at"]:
            late = order["t_active"] > order["t_submit"] and order["t_replace"] == 0
            rules = "T2, H4, H5" if late else "T2"
            return rules, f"not yet with the venue when the bar opened: from {moment(order['t_active'])} on."
        triggered = bool(order["marks"] & L.TRIGGERED)
        if order["kind"] == L.MARKET or (triggered and order["kind"] not in LIMITED):
            none = self.model["market"] == L.NEXT_VWAP and order["tif"] not in (L.ON_OPEN, L.ON_CLOSE)
            return self.rule(e, order), "nothing was traded." if none else "not its moment yet."
        limit, buy = order["kind"] == L.LIMIT or triggered, order["lots"] > 0
        level = order["price"] + (-self.thr if buy else self.thr) if limit else order["trigger"]
        down = buy == (limit or order["kind"] in TOUCHED)
        side, word = ("low", "or less") if down else ("high", "or more")
        what = f"{NOT_REACHED}it needs {self.text(level)} {word}, the {side} was {self.text(bar[side])}."
        return self.rule(e, order), what

    def nearest(self, life: Life) -> str:
        """How near the price came in the bars that did nothing to it."""
        order, quiet = self.final, np.array(life.quiet)
        many = f"{len(quiet)} bar{'s' * (len(quiet) > 1)}"
        moves = order["kind"] in (L.MARKET, L.TRAILING, L.TRAILING_LIMIT) or order["t_trigger"] or order["t_replace"]
        known = self.table.columns[L.C_KNOWN_AT]
        early = int((known[quiet] <= order["t_active"]).sum()) if not self.shared and not order["t_replace"] else 0
        if early == len(quiet):
            return f"{many} came before it was with the venue, at {moment(order['t_active'])} (T2)."
        if moves or self.shared or early:
            return f"{many} did nothing to it."
        limit, buy = order["kind"] == L.LIMIT, order["lots"] > 0
        level = order["price"] + (-self.thr if buy else self.thr) if limit else order["trigger"]
        low = buy == (limit or order["kind"] in TOUCHED)
        prices = self.table.columns[L.C_LOW if low else L.C_HIGH][quiet]
        k = int(prices.argmin() if low else prices.argmax())
        when = str(known[quiet[k]].astype("datetime64[ns]").astype("datetime64[s]")).replace("T", " ")
        name, word = ("low", "or less") if low else ("high", "or more")
        return (
            f"In {many} its price was not reached: it needs {self.text(level)} {word}; the nearest {name} was "
            f"{self.text(prices[k])}, in the bar known at {when}."
        )

    def rounded(self, order: Any) -> dict[str, Any]:
        """What its numbers came to (Q1-Q3, F8)."""
        out: dict[str, Any] = {"lots": int(order["lots"]), "quantity": self.quantity(order["lots"])}
        for name, label in (("price", "limit"), ("trigger", "trigger"), ("trail", "trail"), ("offset", "offset")):
            if order[name]:
                out[label] = self.price(int(order[name]))
        return out
