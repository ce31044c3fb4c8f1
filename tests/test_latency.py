"""What a strategy decides reaches the venue later (rule H5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kernelkit as kk
from kernelkit.errors import OrderError
from kernelkit.kernels import layout as L
from kernelkit.kernels.rules import Rules
from tests.agree import same
from tests.programs import Case, job, recorded, run_reference
from tests.test_engine_is_reference import cases
from tests.test_halts import hourly

# orders whose numbers do not depend on when they are decided; cancels; with latencies of one bar replacements, too
SENT = (1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 10.0)
FORMS = {6.0: (0.0, 1.0, 2.0, 3.0, 4.0, 7.0, 8.0, 9.0), 18.0: (0.0, 1.0, 3.0)}


def alone(case: Case, k: int) -> Case:
    """The case on bars that follow one another, with what can be sent later, and nothing but `k` bars' worth of way."""
    step = case.bars.open_at[1] - case.bars.open_at[0]
    sent = (*SENT, 18.0) if k == 1 else SENT
    program = [
        [a for a in row if t >= case.config.trade_from and a[0] in sent and a[1] in FORMS.get(a[0], (a[1],))]
        for t, row in enumerate(case.program)
    ]
    market = "next_open" if case.config.market == "same_close" else case.config.market
    config = replace(case.config, close_out="none", market=market)
    bars = replace(case.bars, known_at=[t + step for t in case.bars.open_at])
    return replace(case, bars=bars, program=program, config=config, closes=())


@settings(max_examples=400, deadline=None)
@given(cases(calm=True), st.integers(1, 4), st.data())
@pytest.mark.oracle("Reference simulator, orders sent later", covers="H5, T2", cases=400)
def test_h5_as_if_decided_so_many_bars_later(case: Case, k: int, data: st.DataObject) -> None:
    """A way of more than k - 1 bars, at most k: the reference simulator that decides k bars later."""
    case = alone(case, k)
    case = replace(case, limits={"off_tick": case.limits["off_tick"]})
    step = case.bars.known_at[0] - case.bars.open_at[0]
    way = (k - 1) * step + data.draw(st.sampled_from([1, step // 2, step]))
    rules = Rules(latency=way)
    logs, headline, *_ = recorded(job(replace(case, limits=case.limits | {"rules": rules})))
    later = replace(case, program=[[] for _ in range(k)] + case.program[:-k])
    expected = run_reference(later)
    names = ("order", "time", "lots", "ticks", "reference", "fee")
    assert [tuple(f[n].item() for n in names) for f in logs.fills] == [
        tuple(f[n] for n in names) for f in expected.fills
    ]
    assert logs.curves[:, 0].tolist() == expected.equity
    assert logs.curves[:, 1].tolist() == expected.cash
    for name in ("total_return", "max_drawdown", "turnover", "exposure", "fees", "n_trades"):
        assert same(headline[name], expected.metrics[name]), name
    told = {o["id"]: o for o in expected.orders}
    for order in logs.orders:
        one = told.get(int(order["id"]))
        if one is None:  # the other account has not decided it
            assert not order["filled"]
            continue
        found = (L.KINDS[order["kind"]], int(order["filled"]), L.STATUSES[order["status"]], L.REASONS[order["reason"]])
        assert found == (one["kind"], one["filled"], one["status"], one["reason"] or "")
        if order["status"] != L.REJECTED and order["parent"] == 0 and not order["t_replace"]:
            assert order["t_active"] == order["t_submit"] + way


@settings(max_examples=100, deadline=None)
@given(cases(calm=True), st.integers(1, 3), st.data())
def test_h5_nothing_between_a_decision_and_its_arrival(case: Case, k: int, data: st.DataObject) -> None:
    """Ways that end between the same bars are one: every fill and equity."""
    step = case.bars.open_at[1] - case.bars.open_at[0]
    case = replace(case, bars=replace(case.bars, known_at=[t + step for t in case.bars.open_at]))
    a, b = ((k - 1) * step + data.draw(st.integers(1, step)) for _ in range(2))
    one, other = (recorded(job(replace(case, limits=case.limits | {"rules": Rules(latency=w)})))[0] for w in (a, b))
    assert one.fills.tobytes() == other.fills.tobytes()
    assert one.curves.tobytes() == other.curves.tobytes()


# --- one by one


@kk.strategy
def each(ctx):  # type: ignore[no-untyped-def]
    ctx.target_percent(0.5)


def orders_of(venue: kk.Venue, strategy: Any, bars: int = 10) -> pd.DataFrame:
    res = kk.backtest(hourly("2024-01-01", bars), strategy, venue=venue)
    found: pd.DataFrame = kk.orders(res)
    return found


def test_h5_none_is_the_account_without() -> None:
    bars = kk.data.load("sp500_index").isel(time=slice(0, 500))

    @kk.strategy
    def swing(ctx):  # type: ignore[no-untyped-def]
        ctx.target_percent(1.0 if ctx.close[0] > ctx.close.sma(20) else 0.0)

    free, here, near = (kk.backtest(bars, swing, venue=kk.Venue(latency=w)) for w in (0, "0s", "250ms"))
    assert len(kk.fills(free)) > 20
    pd.testing.assert_frame_equal(kk.orders(free), kk.orders(here))
    pd.testing.assert_frame_equal(kk.fills(free), kk.fills(near))  # the next open is hours away
    assert ((kk.orders(near)["active"] - kk.orders(near)["submitted"]) == pd.Timedelta("250ms")).all()


def test_h5_a_target_is_ordered_once() -> None:
    """Decided at 1:00, there at 4:30, filled at 5:00: the decisions in between count it as held."""
    found = orders_of(kk.Venue(latency="210min"), each)
    assert [str(t)[11:16] for t in found["active"]] == ["04:30"]
    assert found["status"].tolist() == ["filled"]


def test_h5_a_target_to_nothing_sells_what_is_on_its_way() -> None:
    @kk.strategy
    def there_and_back(ctx):  # type: ignore[no-untyped-def]
        ctx.target(5.0 if ctx.i == 0 else 0.0)

    res = kk.backtest(hourly("2024-01-01", 8), there_and_back, venue=kk.Venue(latency="150min"))
    fills = kk.fills(res)
    assert fills["side"].tolist() == ["buy", "sell"]
    assert [str(t)[11:16] for t in fills["time"]] == ["04:00", "05:00"]


def test_h5_a_target_called_off_does_not_count() -> None:
    @kk.strategy
    def again(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.target(5.0)
            ctx.cancel_all()
            ctx.target(3.0)

    found = orders_of(kk.Venue(latency="1h"), again)
    assert found[["status", "reason", "quantity"]].values.tolist() == [["cancelled", "user", 5.0], ["filled", "", 3.0]]


def test_h5_one_replacement_at_a_time() -> None:
    """Those of one decision are one; of an order that has one on its way nothing is replaced; then it is again."""

    @kk.strategy
    def moves(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
        answer = -1.0
        if ctx.i == 3:
            ctx.replace(1, price=51.0)
            answer = ctx.replace(1, quantity=2.0)
        if ctx.i == 4 or ctx.i == 5:
            answer = ctx.replace(1, price=52.0 + ctx.i)
        ctx.record("answer", answer)

    res = kk.backtest(hourly("2024-01-01", 10), moves, venue=kk.Venue(latency="90min"))
    assert res["answer"].values[3:6].tolist() == [1.0, 0.0, 1.0]
    order = kk.orders(res).iloc[0]
    assert (order["limit"], order["quantity"]) == (57.0, 2.0)
    assert str(order["active"])[11:16] == "07:30"


def test_h5_a_cancel_after_a_replacement() -> None:
    """Each has its own time: the new price holds until the cancel is there."""

    @kk.strategy
    def both(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
        if ctx.i == 3:
            ctx.replace(1, price=51.0)
        if ctx.i == 4:
            ctx.cancel(1)

    order = orders_of(kk.Venue(latency="90min"), both).iloc[0]
    assert (order["limit"], order["reason"], str(order["ended"])[11:16]) == (51.0, "user", "06:30")


@kk.strategy
def watching(ctx):  # type: ignore[no-untyped-def]
    answer = -1.0
    if ctx.i == 0:
        ctx.limit(1.0, 50.0)
    if ctx.i == 2:
        ctx.buy(1.0)
        answer = ctx.replace(1, price=51.0)
        ctx.bracket(1.0, stop_loss=0.1)
    if ctx.i == 3:
        answer = ctx.cancel(1) * 10.0 + ctx.replace(2, quantity=2.0)
    ctx.record("answer", answer)
    ctx.record("live", ctx.orders)


def test_h5_an_outage_shows_when_what_was_sent_gets_there() -> None:
    """Decided at 3:00 and 4:00, in an outage at 5:30: nothing tells of it before."""
    bars = hourly("2024-01-01", 9)
    outage = kk.Outage("2024-01-01 05:15", "2024-01-01 06:45", matching=False)
    free, hit = (kk.backtest(bars, watching, venue=kk.Venue(latency="150min", outages=o)) for o in ([], [outage]))
    for name in ("answer", "live"):
        assert free[name].values[:5].tolist() == hit[name].values[:5].tolist(), name
    assert hit["answer"].values[2:4].tolist() == [1.0, 12.0]
    orders = kk.orders(hit).set_index("order")
    assert orders.loc[[2, 3], "reason"].tolist() == ["venue_down"] * 2
    assert orders.loc[[2, 3], "status"].tolist() == ["rejected"] * 2
    assert [str(t)[11:16] for t in orders.loc[[2, 3, 4], "ended"]] == ["05:30"] * 3
    assert orders.loc[4, "reason"] == "parent_ended"
    assert orders.loc[1, ["limit", "reason"]].tolist() == [50.0, "end_of_data"]
    assert len(kk.fills(hit)) == 0
    assert kk.compliance(hit)["done"].tolist() == ["rejected"] * 5


@kk.strategy
def hopeful(ctx):  # type: ignore[no-untyped-def]
    answer = -1.0
    if ctx.i == 0:
        ctx.limit(1.0, 50.0)
        ctx.limit(1.0, 50.0)
    if ctx.i == 1:
        ctx.target(5.0)
    if ctx.i == 2:
        ctx.cancel(1)
        ctx.replace(2, price=51.0)
        ctx.cancel(3)
        ctx.buy(1.0)
    if ctx.i == 3:
        ctx.cancel(4)
        answer = ctx.replace(1, price=52.0) + ctx.replace(2, price=52.0) + ctx.replace(4, quantity=2.0)
        ctx.target(2.0)
    if ctx.i == 6:
        answer = ctx.replace(1, price=53.0) + ctx.replace(2, price=53.0)
    ctx.record("answer", answer)


def test_h5_nothing_tells_that_a_cancel_or_a_replacement_will_be_refused() -> None:
    """Decided at 3:00 and 4:00, in an outage at 5:30: what follows is as if the venue had listened, until then."""
    bars = hourly("2024-01-01", 11)
    outage = kk.Outage("2024-01-01 05:15", "2024-01-01 05:45", matching=False)
    free, hit = (kk.backtest(bars, hopeful, venue=kk.Venue(latency="150min", outages=o)) for o in ([], [outage]))
    assert free["answer"].values[3] == hit["answer"].values[3] == 0.0
    both = [kk.orders(r).set_index("order") for r in (free, hit)]
    assert [o.loc[5, "quantity"] for o in both] == [2.0, 2.0]  # the order for 5 is cancelled, as far as is known
    assert hit["answer"].values[6] == 3.0  # by now it is known that nothing has come of it
    assert both[1].loc[[1, 2], "limit"].tolist() == [53.0, 53.0]


def test_h5_a_cancel_gets_there_before_an_order_that_is_held_back() -> None:
    """Two are there at 15:30; the second is held back until New York has closed; its cancel is there at 16:30."""

    @kk.strategy
    def two(ctx):  # type: ignore[no-untyped-def]
        answer = -1.0
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
            ctx.limit(1.0, 50.0)
        if ctx.i == 1:
            answer = ctx.cancel(2)
        ctx.record("answer", answer)

    rate = kk.Rate(1, "24h", excess="delay")
    venue = kk.Venue(hours="XNYS", closed="reject", rate=rate, latency="150min")
    orders = kk.orders(kk.backtest(hourly("2024-01-02 12:00", 14), two, venue=venue))
    assert orders["reason"].tolist() == ["end_of_data", "user"]
    assert str(orders["ended"][1])[11:16] == "16:30"


def test_h5_the_exit_of_an_entry_that_rests_hears_too() -> None:
    """Its replacement has come by 4:30, though no bar reaches the entry."""

    @kk.strategy
    def asleep(ctx):  # type: ignore[no-untyped-def]
        answer = -1.0
        if ctx.i == 0:
            ctx.bracket(1.0, stop=40.0, entry=50.0)
        if ctx.i == 2 or ctx.i == 5:
            answer = ctx.replace(2, trigger=41.0 + ctx.i)
        ctx.record("answer", answer)

    res = kk.backtest(hourly("2024-01-01", 10), asleep, venue=kk.Venue(latency="90min"))
    assert res["answer"].values[[2, 5]].tolist() == [2.0, 2.0]
    assert kk.orders(res)["trigger"][1] == 46.0


def test_h5_hours_and_rates_are_asked_on_arrival() -> None:
    """Decided at 14:00, half an hour before New York opens, it is there after."""
    bars = hourly("2024-01-02 12:00", 5)

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 1:
            ctx.limit(1.0, 50.0)

    for closed in ("reject", "delay"):
        venue = kk.Venue(hours="XNYS", closed=closed, latency="40min")
        res = kk.backtest(bars, once, venue=venue)
        assert str(kk.orders(res)["active"][0])[11:16] == "14:40"
        assert kk.compliance(res).empty

    @kk.strategy
    def often(ctx):  # type: ignore[no-untyped-def]
        ctx.limit(1.0, 50.0)

    late = orders_of(kk.Venue(rate=kk.Rate(1, "2h"), latency="1h"), often, 6)
    # there at 2, 3, 4 ...: the second of each two hours that begin at 2, 4 ... is one too many, and ends on arrival
    assert late["reason"].tolist() == ["end_of_data", "rate_limit"] * 2 + ["end_of_data"] * 2
    assert [str(t)[11:16] for t in late["ended"][[1, 3]]] == ["03:00", "05:00"]


def test_h3_h4_a_replacement_that_waits_for_its_turn() -> None:
    """Of a venue that has nothing but a rate: it takes effect, too."""

    @kk.strategy
    def two(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.limit(1.0, 50.0)
            ctx.replace(1, price=51.0)

    order = orders_of(kk.Venue(rate=kk.Rate(1, "3h", excess="delay")), two).iloc[0]
    assert (order["limit"], str(order["active"])[11:16]) == (51.0, "03:00")


def test_h5_in_finer_bars() -> None:
    """A way of 90 minutes on bars of 6 hours that are matched hour by hour."""
    fine = hourly("2024-01-01", 24)
    frame = pd.DataFrame(
        dict.fromkeys(("open", "high", "low", "close"), 100.0) | {"volume": 6e6},
        index=pd.date_range("2024-01-01", periods=4, freq="6h", tz="UTC"),
    )
    bars = kk.data.from_pandas({"X": frame}, label="open", bar="6h", calendar="24/7", tick_size=0.01)

    @kk.strategy
    def once(ctx):  # type: ignore[no-untyped-def]
        if ctx.i == 0:
            ctx.buy(1.0)

    found = {}
    for way in (0, "90min"):
        res = kk.backtest(bars, once, venue=kk.Venue(latency=way), fill_model=kk.FillModel(path="finer"), finer=fine)
        found[way] = [str(t)[11:16] for t in kk.fills(res)["time"]]
    assert found == {0: ["06:00"], "90min": ["08:00"]}


def test_h5_the_state_is_the_checkpoint(tmp_path: Any) -> None:
    """What is on its way is kept."""

    @kk.strategy
    def busy(ctx):  # type: ignore[no-untyped-def]
        ctx.target(float(ctx.i % 3))
        if ctx.i % 4 == 0:
            ctx.cancel_all()
            ctx.limit(2.0, 99.0)
        if ctx.i % 4 == 2:
            ctx.replace(ctx.i, price=101.0)

    bars, venue = hourly("2024-01-01", 60), kk.Venue(latency="150min")
    whole = kk.backtest(bars, busy, venue=venue)
    run = kk.start(bars.isel(time=slice(0, 23)), busy, venue=venue)
    run = kk.resume(run.save(tmp_path / "run")).feed(bars.isel(time=slice(23, None)))
    pd.testing.assert_frame_equal(kk.orders(run.result()), kk.orders(whole))
    assert {"filled", "cancelled"} <= set(kk.orders(whole)["status"])


@pytest.mark.parametrize("latency", ["soon", -1, "-1s", 0.25, True, None, "400D", "NaT", [1], 1 << 80])
def test_settings__bad(latency: Any) -> None:
    with pytest.raises(OrderError, match="latency of the venue: found"):
        kk.Venue(latency=latency)


def test_settings__durations() -> None:
    assert kk.Venue(latency="250ms").latency == kk.Venue(latency=timedelta(milliseconds=250)).latency == 250_000_000
    assert kk.Venue(latency=np.int64(5)).latency == 5


def test_settings__not_the_close_that_was_decided_on() -> None:
    with pytest.raises(OrderError, match="fill model: found nautilus with a latency"):
        kk.backtest(hourly("2024-01-01", 5), each, venue=kk.Venue(latency=1), fill_model="nautilus")
