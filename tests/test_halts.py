"""When a venue takes orders and matches them: hours, outages, rates (rules H1-H4)."""

from __future__ import annotations

import csv
import json
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kernelkit as kk
from kernelkit.data.sessions import DAY as ONE_DAY
from kernelkit.data.sessions import trading_hours
from kernelkit.errors import DataError, OrderError
from kernelkit.kernels import layout as L
from kernelkit.kernels.rules import Rules
from tests.programs import Case, recorded
from tests.programs import job as job_of
from tests.reference import Action, Bars, Config
from tests.test_orders import DAY, GRID, KNOWN, STILL, Row, act, limit, market, stop, when

DATA = Path(__file__).parents[2] / "shared" / "data"
NOON = KNOWN  # of a day, when its bar is known
AWAY, DEAF = L.TURNS_AWAY | L.STOPS, L.TURNS_AWAY  # outages that reject orders, without matching and with it
LATE, SLOW = L.STOPS, 0  # and that delay them


def hourly(start: str, hours: int, price: float = 100.0) -> xr.Dataset:
    """Bars of a market that never closes, at one price."""
    index = pd.date_range(start, periods=hours, freq="h", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), price) | {"volume": 1e6}, index=index)
    return kk.data.from_pandas({"X": frame}, label="open", bar="1h", calendar="24/7", tick_size=0.01)


@kk.strategy
def buy_one(ctx):  # type: ignore[no-untyped-def]
    ctx.buy(1.0)


def ns(times: Any) -> np.ndarray:
    return pd.DatetimeIndex(times).as_unit("ns").asi8


# What hours do to orders, and to bars.


class Lean:
    """Opening times as LEAN's data base has them: an oracle that knows nothing of exchange_calendars."""

    def __init__(self, name: str) -> None:
        entries = json.loads((DATA / "calendars" / "lean_market_hours_subset.json").read_text())["entries"]
        self.entry = entries[name]
        self.zone = ZoneInfo(self.entry["exchangeTimeZone"])

        def dates(texts: Any) -> dict[date, str]:
            return {datetime.strptime(t, "%m/%d/%Y").date(): t for t in texts}  # noqa: DTZ007  a date

        self.holidays = dates(self.entry["holidays"])
        self.early = {d: self.entry["earlyCloses"][t] for d, t in dates(self.entry.get("earlyCloses", {})).items()}

    def spells(self, first: date, last: date) -> list[tuple[int, int]]:
        """Open and close of each stretch of trading from one date to another, ns UTC."""
        out = []
        day = first
        while day <= last:
            if day not in self.holidays:
                for part in self.entry[day.strftime("%A").lower()]:
                    if part["state"] == "market":
                        ends = min(part["end"], self.early.get(day, "99"))
                        if ends > part["start"]:
                            out.append((self.instant(day, part["start"]), self.instant(day, ends)))
            day += timedelta(days=1)
        return out

    def instant(self, day: date, clock: str) -> int:
        local = datetime.fromisoformat(f"{day.isoformat()}T{clock.split('.')[1] if '.' in clock else clock}")
        return int(local.replace(tzinfo=self.zone).timestamp()) * 10**9


@pytest.mark.market_data
@pytest.mark.oracle("LEAN market hours", covers="H1", cases=1)
@pytest.mark.parametrize(
    ("start", "days"),
    [
        ("2023-11-20", 12),  # Thanksgiving and the half day after it
        ("2024-03-05", 14),  # the clocks go forward
        ("2023-10-30", 14),  # and back
        ("2018-12-03", 30),  # a day of mourning, a half day, Christmas, New Year
    ],
)
def test_h1_orders_wait_for_the_next_open(start: str, days: int) -> None:
    """Of bars around the clock: each order becomes active when LEAN says that the exchange is open, or opens next."""
    bars = hourly(start, 24 * days)
    res = kk.backtest(bars, buy_one, venue=kk.Venue(hours="XNYS", cash_rule="debt"))
    orders = kk.orders(res)
    begin = date.fromisoformat(start)
    spells = np.array(Lean("Equity-usa-[*]").spells(begin, begin + timedelta(days=days + 5)))
    given, active = ns(orders["submitted"]), ns(orders["active"])
    for time, found in zip(given.tolist(), active.tolist(), strict=True):
        opened = spells[np.searchsorted(spells[:, 1], time, side="right")][0]
        assert found == max(time, opened)
    fills = kk.fills(res).set_index("order")
    opens = bars["open_at"].values.astype("i8")
    inside = [(spells[:, 0] <= t) & (t <= spells[:, 1]) for t in opens]
    possible = opens[np.array([i.any() for i in inside])]
    for number, ready in zip(orders["order"], active.tolist(), strict=True):
        later = possible[possible >= ready]
        if later.size:
            assert ns([fills["time"].loc[number]])[0] == later[0]
        else:
            assert number not in fills.index
    delayed = kk.compliance(res)
    assert set(delayed["order"]) == set(orders["order"][given != active])
    assert np.array_equal(ns(delayed["until"]), active[given != active])


def test_h1_daily_bars_are_as_without_hours() -> None:
    """A decision at the close waits for the open that fills it in any case."""

    @kk.strategy
    def swing(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(20) else 0.0)

    bars = kk.data.load("sp500_index").isel(time=slice(0, 700))
    free, bound = (kk.backtest(bars, swing, venue=v) for v in (None, kk.Venue(hours="XNYS")))
    assert len(kk.fills(free)) > 20
    pd.testing.assert_frame_equal(kk.fills(free), kk.fills(bound))
    orders = kk.orders(bound)
    opened = bars["open_at"].values[np.searchsorted(bars["open_at"].values, orders["submitted"].values)]
    assert np.array_equal(ns(orders["active"]), ns(opened))
    refused = kk.backtest(bars, swing, venue=kk.Venue(hours="XNYS", closed="reject"))
    assert set(kk.orders(refused)["reason"]) == {"market_closed"}
    assert set(kk.compliance(refused)["rule"]) == {"H1 hours"}


def test_h1_a_break_at_noon() -> None:
    """Tokyo rests from 11:30 to 12:30, and its time is 9 hours ahead."""
    bars = hourly("2024-02-01", 8)
    res = kk.backtest(bars, buy_one, venue=kk.Venue(hours="XTKS"))
    active = [str(t)[11:16] for t in kk.orders(res)["active"]]
    assert active == ["01:00", "02:00", "03:30", "04:00", "05:00", "00:00", "00:00", "00:00"]
    # 02:00 and 05:00 open in the hours, 03:00 does not
    assert [str(t)[11:16] for t in kk.fills(res)["time"]] == ["01:00", "02:00", "04:00", "04:00", "05:00"]


@pytest.mark.market_data
def test_h1_the_calendar_is_leans() -> None:
    """Ten years of the exchange, as two sources have them."""
    first, last = date(2009, 1, 1), date(2018, 12, 31)
    known = np.array(Lean("Equity-usa-[*]").spells(first, last))
    ours = trading_hours("XNYS", *(int(np.datetime64(d).astype("i8")) for d in (first, last))).reshape(-1, 2)
    ours = ours[(ours[:, 0] >= known[0, 0]) & (ours[:, 0] <= known[-1, 0])]
    odd = {tuple(row) for row in ours.tolist()} ^ {tuple(row) for row in known.tolist()}
    assert not {str(np.datetime64(a, "ns"))[:10] for a, _ in odd}


# What an outage does to orders, and to bars.


class Story:
    """Fills as (order, when, lots), ends as (status, reason, ns), orders, and rows as (order, reason, done, until)."""

    def __init__(self, logs: Any) -> None:
        self.fills = [(int(f["order"]), when(int(f["time"])), int(f["lots"])) for f in logs.fills]
        self.orders = {int(o["id"]): o for o in logs.orders}
        self.ends = {
            k: (L.STATUSES[o["status"]], L.REASONS[o["reason"]], int(o["t_end"])) for k, o in self.orders.items()
        }
        self.rows = [
            (int(b["order"]), L.REASONS[b["reason"]], L.DEEDS[b["done"]], int(b["until"])) for b in logs.breaches
        ]


def play(outage: tuple[float, float, int], actions: dict[int, list[Row]], bars: Any = 6, **config: Any) -> Story:
    """Bars from midnight to noon, day after day; the outage's ends are in days."""
    rows = [STILL] * bars if isinstance(bars, int) else bars
    columns = [list(c) for c in zip(*rows, strict=True)]
    n, (start, end, code) = len(rows), outage
    made = Bars([t * DAY for t in range(n)], [t * DAY + NOON for t in range(n)], list(range(n)), *columns, [1e3] * n)
    rules = Rules(outages=((int(start * DAY), int(end * DAY), code),))
    program = [actions.get(t, []) for t in range(n)]
    logs, *_ = recorded(job_of(Case(made, GRID, Config(**config), program, limits={"rules": rules})))
    return Story(logs)


@pytest.mark.parametrize(
    ("start", "end", "fills"),
    [
        (1.2, 1.3, "open 2"),  # within the bar of day 1
        (0.6, 1.0, "open 1"),  # ends as it opens; the decision of day 0 came before
        (0.6, 1.0001, "open 2"),
        (1.5, 1.9, "open 1"),  # begins when it is known
        (1.4999, 1.9, "open 2"),
        (0.9, 3.1, "open 4"),
    ],
)
def test_h2_which_bars_fill_nothing(start: float, end: float, fills: str) -> None:
    story = play((start, end, AWAY), {0: [market(1)]})
    assert story.fills == [(1, fills, 1)]
    assert not story.rows
    assert play((start, end, DEAF), {0: [market(1)]}).fills == [(1, "open 1", 1)]


@pytest.mark.parametrize(
    ("start", "end", "hit"), [(0.5, 0.6, True), (0.4, 0.5, False), (0.5001, 0.6, False), (0.2, 0.5001, True)]
)
def test_h2_half_open(start: float, end: float, hit: bool) -> None:
    """A decision at the start is in it, at the end it is not."""
    story = play((start, end, DEAF), {0: [market(1)]})
    assert (story.ends[1][1] == "venue_down") == hit
    assert story.rows == ([(1, "venue_down", "rejected", 0)] if hit else [])
    late = play((start, end, SLOW), {0: [market(1)]})
    assert int(late.orders[1]["t_active"]) == (int(end * DAY) if hit else NOON)


def test_h2_delayed_orders_are_active_at_the_end() -> None:
    """A DAY order's session is that in which it could first be matched."""
    story = play((0.3, 2.2, LATE), {0: [market(1), act(2, 1, 1, 90)]})
    assert story.fills == [(1, "open 3", 1)]
    assert story.ends[2] == ("expired", "day", 4 * DAY)
    assert story.rows == [(1, "venue_down", "delayed", int(2.2 * DAY)), (2, "venue_down", "delayed", int(2.2 * DAY))]


def test_h2_nothing_triggers_or_trails_but_time_goes_on() -> None:
    """The fall of day 2 is not seen: the stop fills at the open after it; orders good for a time expire."""
    bars = [STILL] * 2 + [(100, 130, 80, 100)] + [STILL] * 3
    gtd = act(17, 3, 1, 120, e=1.4 * DAY)  # until the third open
    story = play((2.1, 2.2, AWAY), {0: [market(2)], 1: [stop(-1, 90), act(5, 0, -1, 15), gtd]}, bars)
    assert story.fills == [(1, "open 1", 2)]
    assert story.ends[4] == ("expired", "gtd", 3 * DAY)
    assert int(story.orders[3]["trigger"]) == 85  # without the high of 130
    day = play((2.1, 2.2, AWAY), {0: [act(2, 1, 1, 90)], 1: [act(2, 1, 1, 90)]}, bars)
    assert [day.ends[k][1:] for k in (1, 2)] == [("day", 2 * DAY), ("day", 3 * DAY)]


def test_h2_immediate_orders_wait_for_a_bar_that_matches() -> None:
    story = play((1.1, 1.2, AWAY), {0: [act(1, 2, 1), act(2, 2, 1, 90)]})
    assert story.fills == [(1, "open 2", 1)]
    assert story.ends[2] == ("expired", "ioc", 2 * DAY + NOON)


@pytest.mark.parametrize("path", ["high_first", "close"])
def test_h2_on_a_path(path: str) -> None:
    bars = [STILL] * 2 + [(100, 130, 80, 100)] + [STILL] * 3
    market_too = {"market": "next_close"} if path == "close" else {}
    story = play((2.1, 2.2, AWAY), {1: [market(1), limit(1, 90)]}, bars, path=path, **market_too)
    assert [f[:2] for f in story.fills] == [(1, "close 3" if path == "close" else "open 3")]


def test_h2_the_close_out_is_the_accounts_own() -> None:
    story = play((5.1, 5.4, AWAY), {0: [market(1)]}, close_out="last_close")
    assert story.fills == [(1, "open 1", 1), (2, "close 5", -1)]


# What it does to orders that live already.


def test_h4_cancels() -> None:
    """Refused, the order fills; delayed, it ends when the venue is back, and not before."""
    bars = [STILL] * 2 + [(100, 100, 80, 100)] * 4
    cancel = act(9, 0, 1)
    story = play((1.2, 1.7, DEAF), {0: [limit(1, 90)], 1: [cancel]}, bars)
    assert story.fills == [(1, "close 2", 1)]
    assert story.rows == [(1, "venue_down", "rejected", 0)]
    late = play((1.2, 1.7, SLOW), {0: [limit(1, 90)], 1: [cancel]}, bars)
    assert late.ends[1] == ("cancelled", "user", int(1.7 * DAY))
    assert late.rows == [(1, "venue_down", "delayed", int(1.7 * DAY))]
    too_late = play((1.2, 2.7, SLOW), {0: [limit(1, 90)], 1: [cancel]}, bars)
    assert too_late.fills == [(1, "close 2", 1)]


def test_h4_replacements() -> None:
    bars = [STILL] * 2 + [(100, 100, 93, 95)] + [STILL] * 3
    better = act(18, 1, 1, a=95)
    story = play((1.2, 1.7, DEAF), {0: [limit(1, 90)], 1: [better]}, bars)
    assert (story.fills, story.rows) == ([], [(1, "venue_down", "rejected", 0)])
    late = play((1.2, 1.7, SLOW), {0: [limit(1, 90)], 1: [better]}, bars)
    assert late.fills == [(1, "close 2", 1)]
    assert int(late.orders[1]["t_replace"]) == int(late.orders[1]["t_active"]) == int(1.7 * DAY)
    too_late = play((1.2, 2.7, SLOW), {0: [limit(1, 90)], 1: [better]}, bars)
    assert too_late.fills == []
    assert int(too_late.orders[1]["price"]) == 95


def test_h4_one_after_the_other() -> None:
    """Later numbers add to earlier ones; after a cancel nothing can be replaced."""
    price, more, cancel = act(18, 1, 1, a=95), act(18, 0, 1, c=3.0), act(9, 0, 1)
    story = play((1.2, 3.7, SLOW), {0: [limit(1, 90)], 1: [price], 2: [more]})
    order = story.orders[1]
    assert (int(order["price"]), int(order["lots"]), int(order["t_replace"])) == (95, 3, int(3.7 * DAY))
    ended = play((1.2, 3.7, SLOW), {0: [limit(1, 90)], 1: [price, cancel], 2: [more]})
    assert ended.ends[1] == ("cancelled", "user", int(3.7 * DAY))
    assert int(ended.orders[1]["price"]) == 90
    assert [r[2] for r in ended.rows] == ["delayed"]


def test_h4_e2_a_split_of_what_is_under_way() -> None:
    """One for twenty: 10 lots that 30 are to become are none any more; 60 of them are 3, at 20 times the price."""

    def ended(more: float, price: float) -> tuple[Any, ...]:
        bars = [STILL] * 3 + [(2000, 2000, 2000, 2000)] * 3
        columns = [list(c) for c in zip(*bars, strict=True)]
        times = [t * DAY for t in range(6)], [t * DAY + NOON for t in range(6)]
        made = Bars(*times, list(range(6)), *columns, [1e3] * 6)
        rules = Rules(outages=((int(1.2 * DAY), int(4.2 * DAY), SLOW),))
        program = [[limit(30, 90)], [act(18, 3, 1, a=price, c=more)], [], [], [], []]
        split = Action("split", 0, 3 * DAY, 0.05)
        case = Case(made, GRID, Config(), program, limits={"rules": rules}, actions=(split,))
        order = recorded(job_of(case))[0].orders[0]
        return L.REASONS[order["reason"]], int(order["lots"]), int(order["price"]), int(order["t_end"])

    assert ended(10.0, 80.0)[::3] == ("split", 3 * DAY)
    assert ended(60.0, 80.0)[:3] == ("end_of_data", 3, 1600)


def test_h4_no_more_than_has_filled_by_then() -> None:
    """Of 4 lots 2 trade in a bar; the replacement by 2 that was asked for before comes after both."""
    bars = [STILL] * 6
    less = act(18, 0, 1, c=2.0)
    story = play((0.9, 2.7, SLOW), {0: [market(4)], 1: [less]}, bars, participation=0.002)
    assert story.fills == [(1, "open 1", 2), (1, "open 2", 2)]
    assert story.ends[1][0] == "filled"
    story = play((0.9, 1.7, SLOW), {0: [market(4)], 1: [less]}, bars, participation=0.002)
    assert story.fills == [(1, "open 1", 2)]
    assert story.ends[1] == ("cancelled", "user", int(1.7 * DAY))


def test_h4_exits_of_a_bracket() -> None:
    """An anchored exit keeps its anchor until the new price takes effect."""
    bars = [STILL] * 3 + [(100, 104, 100, 100)] * 3
    higher = act(18, 1, 3, a=103)
    story = play((1.2, 3.7, SLOW), {0: [act(6, 0, 1, c=0.1, d=0.1)], 1: [higher]}, bars)
    assert story.fills == [(1, "open 1", 1), (3, "close 4", -1)]
    waiting = play((1.2, 1.7, SLOW), {1: [act(6, 0, 1, c=0.1, d=0.1), higher]}, bars)
    assert waiting.fills == [(1, "open 2", 1), (3, "close 3", -1)]
    woken = play((0.2, 1.7, SLOW), {0: [act(6, 2, 1, b=103, c=0.1, e=200), act(18, 2, 2, b=95)]}, bars)
    assert int(woken.orders[2]["trigger"]) == 95


def test_h4_targets() -> None:
    """Where cancels are refused, a new target is too, and the older order lives."""
    bars = [STILL] * 6
    target, other = act(7, 0, 5), act(7, 0, 1)
    story = play((1.2, 1.7, DEAF), {0: [target], 1: [other]}, bars, participation=0.002)
    assert story.ends[2][1] == "venue_down"
    assert story.fills == [(1, "open 1", 2), (1, "open 2", 2), (1, "open 3", 1)]
    assert [r[:3] for r in story.rows] == [(k, "venue_down", "rejected") for k in (1, 2)]
    late = play((1.2, 2.7, SLOW), {0: [target], 1: [other]}, bars, participation=0.002)
    assert late.ends[1] == ("cancelled", "replaced", int(2.7 * DAY))
    assert late.fills == [(1, "open 1", 2), (1, "open 2", 2), (2, "open 3", -1)]


def test_h4_the_state_is_the_checkpoint(tmp_path: Path) -> None:
    """What is under way is kept: a run that is saved in the middle of an outage."""
    bars = hourly("2024-01-01", 60)

    @kk.strategy
    def busy(ctx):  # type: ignore[no-untyped-def]
        if ctx.i % 4 == 0:
            ctx.cancel_all()
            ctx.limit(2.0, 99.0)
        if ctx.i % 4 == 2:
            ctx.replace(ctx.i // 4 + 1, price=101.0)

    outage = kk.Outage("2024-01-01 20:00", "2024-01-02 06:30", orders="delay", matching=False)
    venue = kk.Venue(outages=[outage])
    whole = kk.backtest(bars, busy, venue=venue)
    run = kk.start(bars.isel(time=slice(0, 23)), busy, venue=venue)
    run = kk.resume(run.save(tmp_path / "run")).feed(bars.isel(time=slice(23, None)))
    pd.testing.assert_frame_equal(kk.orders(run.result()), kk.orders(whole))
    assert (kk.compliance(whole)["done"] == "delayed").sum() > 4


# How many orders a venue takes.


def test_h3_reject_and_delay() -> None:
    """Three orders in two hours, counted from even hours on; bars of one hour, two orders each."""
    bars = hourly("2024-01-01", 9)

    @kk.strategy
    def two(ctx):  # type: ignore[no-untyped-def]
        ctx.limit(1.0, 50.0)
        ctx.limit(1.0, 50.0)

    res = kk.backtest(bars, two, venue=kk.Venue(rate=kk.Rate(3, "2h")))
    # decided at 1; 2, 3; 4, 5; ...: of the four in each pair of hours the last is one too many
    assert kk.orders(res)["reason"].tolist() == ["end_of_data"] * 2 + (["end_of_data"] * 3 + ["rate_limit"]) * 4
    rows = kk.compliance(res)
    assert rows[["order", "limit", "found"]].values.tolist() == [[k, 3.0, 4.0] for k in (6, 10, 14, 18)]
    res = kk.backtest(bars, two, venue=kk.Venue(rate=kk.Rate(3, "2h", excess="delay")))
    hours = [(t - pd.Timestamp("2024-01-01")) / pd.Timedelta("1h") for t in kk.orders(res)["active"]]
    # the one of each pair that is too many takes a place of the next, so that more and more wait
    assert hours == [1, 1, 2, 2, 3, 4, 4, 4, 6, 6, 6, 8, 8, 8, 10, 10, 10, 12]


def test_h4_a_replacement_waits_for_its_interval() -> None:
    """Of a venue that knows no hours and no outages."""

    @kk.strategy
    def change(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
            ctx.replace(1, price=51.0)

    res = kk.backtest(hourly("2024-01-01", 5), change, venue=kk.Venue(rate=kk.Rate(1, "2h", excess="delay")))
    order = kk.orders(res).iloc[0]
    assert (order["limit"], order["replaced"]) == (51.0, pd.Timestamp("2024-01-01 02:00", tz="UTC").tz_localize(None))


def test_h4_in_a_portfolio_the_clocks_bars_count() -> None:
    """A cancel is heard after the outage, though its asset has no bar any more."""
    frames = {
        name: pd.DataFrame(
            dict.fromkeys(("open", "high", "low", "close", "volume"), 100.0),
            pd.date_range("2024-01-01", periods=count, freq="h", tz="UTC"),
        )
        for name, count in (("A", 3), ("B", 6))
    }
    bars = kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01)

    @kk.portfolio(warmup=0)
    def change(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[0].limit(1.0, 50.0)
        if ctx.i == 1:
            ctx.cancel_all()

    outage = kk.Outage("2024-01-01 01:30", "2024-01-01 02:30", orders="delay", matching=False)
    order = kk.orders(kk.backtest(bars, change, venue=kk.Venue(outages=[outage]))).iloc[0]
    assert order["reason"] == "user"


def test_h2_in_a_portfolio_a_bar_without_passes_trails_nothing_later_either() -> None:
    """B rises to 110 during the outage, has no bar in the next hour, and falls to 97: its stop is still at 95."""
    flat, rises, falls = (100.0,) * 4, (100.0, 110.0, 100.0, 100.0), (100.0, 100.0, 97.0, 97.0)
    index = pd.date_range("2024-01-01", periods=5, freq="h", tz="UTC")
    a = pd.DataFrame([flat] * 5, index, ["open", "high", "low", "close"])
    b = pd.DataFrame([flat, flat, rises, falls], index[[0, 1, 2, 4]], a.columns)
    frames = {"A": a.assign(volume=1e6), "B": b.assign(volume=1e6)}
    bars = kk.data.from_pandas(frames, label="open", bar="1h", calendar="24/7", tick_size=0.01)

    @kk.portfolio(warmup=0)
    def trail(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx[1].buy(1.0)
            ctx[1].trailing_stop(-1.0, trail=5.0)

    outage = kk.Outage("2024-01-01 02:10", "2024-01-01 02:20")
    assert kk.fills(kk.backtest(bars, trail, venue=kk.Venue(outages=[outage])))["order"].tolist() == [1]


def test_h3_replacements_count_and_cancels_do_not() -> None:
    bars = hourly("2024-01-01", 4)

    @kk.strategy
    def change(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
            ctx.replace(1, price=51.0)
            ctx.record("answer", ctx.replace(1, price=52.0))
            ctx.cancel(1)

    res = kk.backtest(bars, change, venue=kk.Venue(rate=kk.Rate(2, "1h")))
    order = kk.orders(res).iloc[0]
    assert (order["limit"], order["reason"], float(res["answer"][0])) == (51.0, "user", 0.0)
    assert kk.compliance(res)[["order", "done"]].values.tolist() == [[1, "rejected"]]


# outages that were


@pytest.mark.market_data
def test_h2_binance_as_its_volume_shows() -> None:
    """33 hours in February 2018 and the others: no order is taken in them, and none fills."""
    with (DATA / "events" / "binance_spot_outages_inferred_from_zero_volume_1h.csv").open() as file:
        rows = list(csv.DictReader(file))
    hour = pd.Timedelta("1h")
    spells = [
        (pd.Timestamp(r["first_zero_volume_hour"], tz="UTC"), pd.Timestamp(r["last_zero_volume_hour"], tz="UTC") + hour)
        for r in rows
    ]
    bars = hourly("2018-01-01", 24 * 400, 0.01)
    res = kk.backtest(bars, buy_one, venue=kk.Venue(outages=[kk.Outage(a, b) for a, b in spells]))
    orders, fills = kk.orders(res), kk.fills(res)
    inside = sum(
        ((orders["submitted"] >= a.tz_localize(None)) & (orders["submitted"] < b.tz_localize(None)) for a, b in spells),
        pd.Series(0, index=orders.index),
    )
    assert (orders["reason"] == "venue_down").equals(inside > 0)
    assert inside.sum() >= 60
    for a, b in spells:
        assert not fills["time"].between(a.tz_localize(None), b.tz_localize(None), inclusive="left").any()
    assert len(fills) == (orders["reason"] == "").sum()


@pytest.mark.market_data
def test_h2_new_york_in_july_2015() -> None:
    """From 11:32 to 15:10 in New York, with hours: orders of the halt are there at 15:10, and fill in the next bar."""
    with (DATA / "events" / "exchange_outages.csv").open() as file:
        row = next(r for r in csv.DictReader(file) if r["start"].startswith("2015-07-08"))
    zone = ZoneInfo(row["timezone"])
    start, end = (pd.Timestamp(row[n]).tz_localize(zone) for n in ("start", "end"))
    index = pd.date_range("2015-07-07", "2015-07-09", freq="15min", tz="UTC")
    frame = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), 10.0) | {"volume": 1e6}, index=index)
    bars = kk.data.from_pandas({"X": frame}, label="open", bar="15min", calendar="24/7", tick_size=0.01)
    venue = kk.Venue(hours="XNYS", outages=[kk.Outage(start, end, orders="delay")], cash_rule="debt")
    res = kk.backtest(bars, buy_one, venue=venue)
    fills = kk.fills(res)["time"].dt.tz_localize("UTC").dt.tz_convert(zone)
    day = fills[fills.dt.date == date(2015, 7, 8)]
    gap = day[(day >= "2015-07-08 11:30") & (day < "2015-07-08 15:15")]
    assert gap.empty
    halted = kk.compliance(res).query("rule == 'H2 outages'")
    assert set(halted["until"]) == {pd.Timestamp("2015-07-08 19:10")}
    assert len(halted) == 14  # 11:45 to 15:00
    # those of the halt, one of 11:30, for which no bar came, and that of 15:15
    assert (day == "2015-07-08 15:15").sum() == 16
    assert (fills == "2015-07-07 15:15").sum() == 1


# settings


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: kk.Outage("2020-01-02", "2020-01-02"), "end of an outage: found 2020-01-02, wanted a time after"),
        (lambda: kk.Outage("soon", "2020-01-02"), "start of an outage: found 'soon'"),
        (lambda: kk.Outage(None, "2020-01-02"), "start of an outage: found None"),
        (lambda: kk.Outage("2020", "2021", orders="drop"), "orders of an outage: found 'drop'"),
        (lambda: kk.Outage("2020", "2021", matching=1), "matching of an outage: found 1"),
        (lambda: kk.Outage(0, 5), "start of an outage: found 0 (a number, of which nobody knows what it counts)"),
        (lambda: kk.Outage("2020", 1.6e9), "end of an outage: found 1600000000.0 (a number"),
        (lambda: kk.Outage(True, "2020"), "start of an outage: found True"),
        (lambda: kk.Outage(["2020"], "2021"), "start of an outage: found ['2020']"),
        (lambda: kk.Rate(0), "orders of a rate: found 0"),
        (lambda: kk.Rate(10**19), "orders of a rate: found 10000000000000000000, wanted a whole number from 1 to 2^63"),
        (lambda: kk.Rate(2.5), "orders of a rate: found 2.5"),
        (lambda: kk.Rate(2, excess="queue"), "excess of a rate: found 'queue'"),
        (lambda: kk.Venue(rate=10), "rate of the venue: found 10, wanted a kk.Rate"),
        (lambda: kk.Venue(outages=kk.Outage("2020", "2021")), "outages of the venue: found Outage("),
        (lambda: kk.Venue(outages=["2020"]), "outages of the venue: found ['2020']"),
        (lambda: kk.Venue(closed="wait"), "closed of the venue: found 'wait'"),
        (
            lambda: kk.Venue(outages=[kk.Outage("2020", "2021"), kk.Outage("2020-06", "2022")]),
            "outages of the venue: found one from 2020-06, before that of 2020 has ended",
        ),
    ],
)
def test_settings__bad(make: Any, found: str) -> None:
    with pytest.raises(OrderError) as error:
        make()
    assert found in str(error.value)


def test_settings__bad_names_of_times() -> None:
    with pytest.raises(DataError, match="calendar: found 'XNYZ'"):
        kk.Venue(hours="XNYZ")
    for per in ("soon", "-1s", 5, "0s", "400D"):
        with pytest.raises(OrderError, match=f"per of a rate: found {per!r}, wanted a duration .*kk.Rate"):
            kk.Rate(2, per)  # type: ignore[arg-type]
    assert kk.Rate((1 << 63) - 1).orders == (1 << 63) - 1


def test_settings__always_open_is_no_hours() -> None:
    assert kk.Venue(hours="24/7").hours is None
    assert kk.Venue(hours="NYSE").hours == "XNYS"


def test_trading_hours__the_next_open_is_there() -> None:
    """A decision on the last bar of the data has a next open, also before a golden week."""
    last = int(np.datetime64("2024-09-30", "D").astype("i8"))
    times = trading_hours("XSHG", last, last)
    assert times[times > (last + 1) * ONE_DAY][0] == np.datetime64("2024-10-08T01:30", "ns").astype("i8")


def test_h4__an_order_with_a_cancel_under_way_is_asked_once() -> None:
    """A target each hour of an outage: the one that waits is cancelled once, not at each decision."""

    @kk.strategy
    def each_hour(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(0.2 + 0.01 * (ctx.i % 7))

    venue = kk.Venue(outages=[kk.Outage("2024-01-01 04:10", "2024-01-01 16:10", orders="delay")])
    hit = kk.compliance(kk.backtest(hourly("2024-01-01", 24), each_hour, venue=venue))
    assert hit.groupby("order").size().max() == 2  # it was delayed itself, and so was the cancel of it
    assert len(hit) <= 2 * 13
