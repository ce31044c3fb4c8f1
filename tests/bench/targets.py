"""What kernelkit promises of its speed: each figure once, as the ratio to something that is measured in the same run.

The figures were set on a 2-core AMD EPYC (Zen 5, idle). The rates of the yardsticks there turn them into ratios,
by which other machines are judged.
"""

from __future__ import annotations

from dataclasses import dataclass

RAW_CROSS = 342e6  # candles a second, hand-written loops there
RAW_BRACKET = 348e6
RAW_SWEEP = 770e6
NUMPY_CROSS = 54e6
RAW_MOMENTUM = 371e6  # asset-bars a second
ONE_KERNEL = 0.94  # seconds: a process that imports numba and compiles one small loop
MOMENTS = 200_000  # series of 2,520 returns a second, mean and standard deviation in NumPy
RAW_CSCV = 54e6  # split-strategies a second, the loop by hand
NUMPY_PURGED = 0.55  # seconds: masks of 12,870 splits of 5,000 samples, split by split
ARCH_BOOTSTRAP = 144e6  # samples a second, arch 8.0's stationary bootstrap of a Sharpe ratio
NUMPY_WALK = 57e6  # steps a second of geometric Brownian motion with drawdown, NumPy
NUMPY_BLOCKS = 78e6  # the same of blocks of a history
PRODUCT = 0.095  # seconds: 1,000 x 2,500 counts times 1,000 series in NumPy
BLOCK_PRODUCTS = 0.07  # the same of 1,000 x 64 counts and 10,000 trials, twice
FEW_PRODUCTS = 0.024  # and of 9,999 x 64 counts and 300 trials, twice
BLOCK_SUMS = 3.4e-6  # seconds a trial: NumPy's sums of its 64 block summaries by pairs
ONE_GRID = 0.65  # seconds of CPU: 100 cells over 1,000,000 bars
PLAIN_DATASET = 1.2e-3  # seconds: an xarray Dataset of 16 variables of 100,000 numbers


@dataclass(frozen=True)
class Target:
    """One row of the table. `at_most` is our time / the yardstick's; `gate`, if given, is what the tests hold."""

    what: str
    figure: str
    yardstick: str
    at_most: float
    limit: str
    gate: float | None = None

    @property
    def allowed(self) -> float:
        """What the tests hold."""
        return self.at_most if self.gate is None else self.gate


TARGETS = {
    "bracket": Target(
        "Limit entry, stop and target decided per bar, all metrics",
        "50 M candles/s",
        "the loop by hand, final equity alone",
        RAW_BRACKET / 50e6,
        "fills: an order has a life, which the loop by hand does not track",
    ),
    "bracket_fused": Target(
        "The same",
        "within 5x",
        "the loop by hand, all metrics",
        5.0,
        "fills: an order has a life, which the loop by hand does not track",
    ),
    "ema": Target(
        "Two exponential averages with resting brackets, all metrics",
        "50 M candles/s",
        "the limit-entry loop by hand, final equity alone",
        RAW_BRACKET / 50e6,
        "fills: an order has a life, which the loop by hand does not track",
    ),
    "ema_fused": Target(
        "The same",
        "within 5x",
        "the loop by hand, all metrics",
        5.0,
        "fills: an order has a life, which the loop by hand does not track",
    ),
    "empty": Target(
        "An empty strategy, all metrics",
        "3 ns a bar",
        "the moving-average loop by hand, final equity alone",
        RAW_CROSS * 3e-9,
        "the labelled call, which takes 1.1 ms, then the loop",
        gate=1.6,
    ),
    "empty_fused": Target(
        "The same",
        "within 5x",
        "a loop by hand that only marks the account, all metrics",
        5.0,
        "the same",
    ),
    "cross": Target(
        "Moving averages 20/100, next open, fees, all metrics",
        "80 M candles/s",
        "the loop by hand, final equity alone",
        RAW_CROSS / 80e6,
        "fills, then two exact averages",
    ),
    "cross_equity": Target(
        "The same, final equity alone",
        "100 M candles/s",
        "the loop by hand, final equity alone",
        RAW_CROSS / 100e6,
        "fills, then two exact averages",
        gate=4.0,
    ),
    "cross_numpy": Target(
        "The same, all metrics",
        "80 M candles/s",
        "25 lines of NumPy with an equity curve and no metrics",
        NUMPY_CROSS / 80e6,
        "the same",
    ),
    "sweep_equity": Target(
        "1,000 combinations of averages, final equity alone",
        "300 M candles/s",
        "the loop by hand, final equity alone",
        RAW_SWEEP / 300e6,
        "fills",
    ),
    "sweep": Target(
        "The same, all metrics",
        "half of the loop",
        "the loop by hand, all metrics",
        2.0,
        "fills, then metrics",
    ),
    "threads": Target(
        "The same on 2 threads",
        "1.6x of one thread",
        "what the loop by hand gains from 2 threads (1.9x where the target was set)",
        1.9 / 1.6,
        "the machine",
    ),
    "small": Target(
        "2,000 trials of 1,000 bars in one call",
        "50 ms",
        "the moving-average loop by hand over as many candles",
        RAW_CROSS * 0.05 / 2e6,
        "laying out the trials in Python",
    ),
    "momentum": Target(
        "Monthly momentum, 50 of 500 assets with one account, fees, all metrics",
        "100 M asset-bars/s",
        "the loop by hand, final equity alone",
        RAW_MOMENTUM / 100e6,
        "fills and ranks, then laying out 500 assets in Python",
    ),
    "held": Target(
        "500 assets held in one account, all metrics",
        "8 ns an asset-bar",
        "the same loop by hand, which holds 50",
        RAW_MOMENTUM * 8e-9,
        "reading each close from its own column",
    ),
    "summary": Target(
        "Fifteen metrics of 1,000 series of 2,520 returns",
        "5,000 series/s",
        "NumPy's mean and standard deviation of them",
        MOMENTS / 5_000,
        "the wealth of each series, one product after the other",
        gate=4.0,
    ),
    "cscv": Target(
        "Probability of overfitting: 12,870 splits of 500 strategies",
        "250 M split-strategies/s",
        "the loop by hand over the same block sums",
        RAW_CSCV / 250e6,
        "a square root and a division for each",
    ),
    "purged": Target(
        "Purged cross-validation: masks of 12,870 splits of 5,000 samples",
        "0.1 s",
        "NumPy, split by split",
        0.1 / NUMPY_PURGED,
        "memory: 8 MB of bits, eight times",
    ),
    "bootstrap": Target(
        "Stationary bootstrap of five moments: 2,000 x 10,000 samples in blocks of 20 on average",
        "1,000 M samples/s",
        "arch's of a Sharpe ratio alone",
        ARCH_BOOTSTRAP / 1e9,
        "drawing each block, and fetching its two ends",
    ),
    "walk": Target(
        "Geometric Brownian motion with drawdown, 2,520 steps a path",
        "500 M steps/s",
        "NumPy's normal numbers, running sums and maxima",
        NUMPY_WALK / 500e6,
        "the divider: a quotient and a root for two normal numbers",
    ),
    "walk_blocks": Target(
        "Blocks of 20 samples of a history with drawdown, 2,520 steps a path",
        "800 M steps/s",
        "NumPy's running sums and maxima of the same",
        NUMPY_BLOCKS / 800e6,
        "drawing each block",
    ),
    "walk_bars": Target(
        "Bars of such paths on the tick, with exact extremes, as a Dataset",
        "1 M bars/s",
        "NumPy's walk above",
        NUMPY_WALK / 1e6,
        "inverting the distribution of each bar's minimum",
    ),
    "spa": Target(
        "Superior ability of 1,000 models: 2,500 samples, 1,000 replications, draws included",
        "0.6 s",
        "NumPy's product of the counts and the samples",
        0.6 / PRODUCT,
        "that product",
        gate=3.0,
    ),
    "maximum": Target(
        "The studentised maximum of the same, with its step-down",
        "0.6 s",
        "the same product",
        0.6 / PRODUCT,
        "two such products",
        gate=4.5,
    ),
    "headline": Target(
        "The headline test of 10,000 trials from 64 blocks, 1,000 replications",
        "5 s",
        "NumPy's two products of the counts and the blocks' sums",
        5.0 / BLOCK_PRODUCTS,
        "a square root and a division for each, then the step-down",
        gate=8.0,
    ),
    "headline_few": Target(
        "The same of 300 trials, 9,999 replications",
        "1 s",
        "the same products",
        1.0 / FEW_PRODUCTS,
        "the same",
        gate=8.0,
    ),
    "memory": Target(
        "Memory of 1,000 trials x 1M bars beyond the bars, metrics alone",
        "100 MB",
        "100 MB",
        1.0,
        "prices once more as integer ticks: 32 MB, and as much while they are checked",
    ),
    "build": Target(
        "The result of 100,000 trials with lazy curves",
        "0.2 s",
        "an xarray Dataset of 16 such variables",
        0.2 / PLAIN_DATASET,
        "xarray",
    ),
    "slider": Target(
        "A move of a slider of kk.explore over 10,000 bars, until its picture is sent",
        "20 ms",
        "kk.backtest of the same",
        2.5,
        "the trial once more for its curves, and thinning them",
    ),
    "select": Target(
        "Selecting one curve, beyond its simulation",
        "50 ms",
        "the same Dataset",
        0.05 / PLAIN_DATASET,
        "xarray's indexing",
    ),
    "ledger": Target(
        "The ledger of a million trials",
        "3 GB",
        "3 GB",
        1.0,
        "block summaries: 64 x 11 numbers of 4 bytes each",
    ),
    "record": Target(
        "Recording a sweep of 1,000 trials",
        "15 ms",
        "NumPy's sums of their block summaries by pairs",
        0.015 / (1_000 * BLOCK_SUMS),
        "logarithms of wealth, then hashes and writing",
    ),
    "family": Target(
        "A family of 10,000 trials from a ledger of 310,000",
        "1 s",
        "NumPy's sums of its block summaries by pairs",
        1.0 / (10_000 * BLOCK_SUMS),
        "decompression, then telling identical trials apart",
    ),
    "first_cell": Target(
        "First cell on a new machine, imports excluded",
        "3 s",
        "a process that imports numba and compiles one small loop",
        3.0 / ONE_KERNEL,
        "numba's typing and lowering of the engine's functions",
        gate=4.5,
    ),
    "first_strategy": Target(
        "First strategy of a later process, imports excluded",
        "0.6 s",
        "the same process",
        0.6 / ONE_KERNEL,
        "numba's typing of the decision and of the loop around it",
    ),
    "walk_forward": Target(
        "A walk-forward of 100 cells, 7 folds of 300,000 bars of training",
        "80 % of the engine's candles/s",
        "one backtest of the grid over 1,000,000 bars",
        2.107 / 0.8,
        "the indicators of folds, from the first bar on",
    ),
    "cross_validate": Target(
        "Combinatorial cross-validation of 100 cells, 10 groups of which 2 are tested, 1,000,000 bars",
        "80 % of the engine's candles/s",
        "one backtest of the grid",
        1.09 / 0.8,
        "the paths, each a run by itself",
    ),
    "monte_carlo": Target(
        "A Monte Carlo of 100 cells on 4 paths of 1,000,000 bars, and on the bars",
        "80 % of the engine's candles/s",
        "one backtest of the grid",
        5.0 / 0.8,
        "the bars of each path: drawn, put on the tick, hashed for the ledger",
    ),
    "folds": Target(
        "A walk-forward of 1,000 small folds over 1,000,000 bars",
        "1 s",
        "one backtest of 100 cells",
        1.0 / ONE_GRID,
        "laying out and recording each fold; its switch",
    ),
    "edit": Target(
        "An edited strategy",
        "0.2 s",
        "the same process",
        0.2 / ONE_KERNEL,
        "the same",
        gate=0.3,
    ),
    "unchanged": Target(
        "An unchanged strategy",
        "30 ms",
        "the same process",
        0.03 / ONE_KERNEL,
        "lowering the source, laying out the trial",
    ),
    "import": Target(
        "`import kernelkit`, without numba and xarray",
        "50 ms",
        "the same process",
        0.05 / ONE_KERNEL,
        "reading one small file",
    ),
    "make": Target(
        "`make` from an empty clone to the first report, all packages downloaded",
        "3 min",
        "3 minutes",
        1.0,
        "downloads",
    ),
}
