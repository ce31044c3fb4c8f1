"""One-pass, mergeable reductions: sessions to blocks, blocks to headline metrics, and their log and exp.

Rules M1-M8. Every formula exists here once; the engine calls it while bars stream by.
"""

from math import sqrt

from kernelkit.kernels.layout import ACCOUNT, MAX_CELLS, METRICS, NODE, NODE_BYTES
from kernelkit.kernels.memory import at, bits, i8, put_f8, put_i8, unbits

NAN = float("nan")
INF = float("inf")
EPSILON = 2.0**-52
NODE_WORDS = NODE_BYTES // 8
OFF_LEAF = METRICS.fields["leaf"][1]
OFF_LEVEL = METRICS.fields["level"][1]
OFF_CELL = METRICS.fields["cell"][1]
DAY_NS = 86400e9
LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
# minimax coefficients of log1p(f) - f on the reduced range (public domain fdlibm, e_log.c)
LG1, LG2, LG3, LG4 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
)
LG5, LG6, LG7 = 1.818357216161805012e-01, 1.531383769920937332e-01, 1.479819860511658591e-01
# and of the remainder of exp on |r| <= ln2 / 2 (e_exp.c)
EP1, EP2, EP3 = 1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05
EP4, EP5 = -1.65339022054652515390e-06, 4.13813679705723846039e-08


def log(x: float) -> float:
    """Natural logarithm; NaN below zero, -inf at zero.

    fdlibm's reduction (e_log.c), + - * / only, so the same bits on every machine.

    >>> log(1.0), log(0.0), round(float(log(10.0)), 12)
    (np.float64(0.0), -inf, 2.302585092994)
    """
    if not x > 0.0:
        return -INF if x == 0.0 else NAN
    if x > 1.7976931348623157e308:
        return x
    k = 0
    if x < 2.2250738585072014e-308:
        x = x * 18014398509481984.0
        k = -54
    word = bits(x)
    k += (word >> 52) - 1023
    mantissa = word & 0x000FFFFFFFFFFFFF
    if mantissa >= 0x6A09E667F3BCD:  # sqrt(2): keep the reduced argument in [sqrt(1/2), sqrt(2))
        k += 1
        f = unbits(mantissa | 0x3FE0000000000000) - 1.0
    else:
        f = unbits(mantissa | 0x3FF0000000000000) - 1.0
    s = f / (2.0 + f)
    z = s * s
    r = z * (LG1 + z * (LG2 + z * (LG3 + z * (LG4 + z * (LG5 + z * (LG6 + z * LG7))))))
    half = 0.5 * f * f
    dk = float(k)
    return dk * LN2_HI - ((half - (s * (half + r) + dk * LN2_LO)) - f)


def exp(x: float) -> float:
    """Exponential; inf above 709.78, 0 below -745.13. fdlibm's reduction (e_exp.c).

    >>> float(exp(0.0)), exp(1000.0), round(float(exp(1.0)), 12)
    (1.0, inf, 2.718281828459)
    """
    if x != x:
        return x
    if x > 709.782712893384:
        return INF
    if x < -745.1332191019411:
        return 0.0
    k = int(x * 1.44269504088896338700 + (0.5 if x >= 0.0 else -0.5))
    hi = x - float(k) * LN2_HI
    lo = float(k) * LN2_LO
    r = hi - lo
    z = r * r
    c = r - z * (EP1 + z * (EP2 + z * (EP3 + z * (EP4 + z * EP5))))
    y = 1.0 - ((lo - (r * c) / (2.0 - c)) - hi)
    if k < -1021:
        return y * unbits((k + 1023 + 54) << 52) * 5.551115123125783e-17
    if k > 1023:
        return y * 2.0 * unbits((k - 1 + 1023) << 52)
    return y * unbits((k + 1023) << 52)


def copy_words(target: int, source: int, n: int) -> None:
    """Copy `n` 8-byte words."""
    for j in range(n):
        put_i8(target + 8 * j, i8(source + 8 * j))


def merge(a_at: int, b_at: int) -> None:
    """M3: the node at `a_at` (earlier) absorbs the one at `b_at`."""
    a = at(a_at, NODE)
    b = at(b_at, NODE)
    a.n += b.n
    a.active += b.active
    a.s1 += b.s1
    a.s2 += b.s2
    a.s3 += b.s3
    a.s4 += b.s4
    a.d2 += b.d2
    a.sb += b.sb
    a.sbb += b.sbb
    a.sxb += b.sxb
    w = a.w
    drop = 1.0 - (w * b.lo) / a.hi
    a.mdd = max(max(a.mdd, b.mdd), drop)
    a.hi = max(a.hi, w * b.hi)
    a.lo = min(a.lo, w * b.lo)
    a.w = w * b.w


def fold(a_at: int, first: int, n: int) -> None:
    """M5: the node at `a_at` absorbs the `n` that lie from `first` on; one without samples is none."""
    for j in range(n):
        b_at = first + j * NODE_BYTES
        if at(b_at, NODE).n > 0:
            merge(a_at, b_at)


def start(m_at: int, day: int, cash: float, bar: int, t: int, close: float) -> None:
    """T4: the account starts; the first sample counts from its cash."""
    m = at(m_at, METRICS)
    m.first = day
    m.day = day
    m.e_prev = cash
    m.hi_e = cash
    m.lo_e = cash
    m.low = cash
    m.peak = cash
    m.peak_bar = bar
    m.t_start = t
    m.c_prev = close
    m.c_last = close


def close_session(m_at: int, equity: float) -> None:
    """M1, M2: the running session becomes METRICS.leaf and a new one begins at `equity`."""
    m = at(m_at, METRICS)
    leaf = at(m_at + OFF_LEAF, NODE)
    leaf.index = m.day
    leaf.n = 1
    leaf.active = m.active
    base = m.e_prev
    if base > 0.0:
        x = equity / base - 1.0
        leaf.w = equity / base
        leaf.hi = m.hi_e / base
        leaf.lo = m.lo_e / base
        leaf.mdd = max(m.mdd, 1.0 - m.low / m.hi_e)
    else:  # ruined before this session
        x = 0.0
        leaf.w = 1.0
        leaf.hi = 1.0
        leaf.lo = 1.0
        leaf.mdd = 0.0
    b = m.c_last / m.c_prev - 1.0
    x2 = x * x
    leaf.s1 = x
    leaf.s2 = x2
    leaf.s3 = x2 * x
    leaf.s4 = x2 * x2
    leaf.d2 = x2 if x < 0.0 else 0.0
    leaf.sb = b
    leaf.sbb = b * b
    leaf.sxb = x * b
    m.e_prev = equity
    m.hi_e = equity
    m.lo_e = equity
    m.low = equity
    m.mdd = 0.0
    m.active = 0
    m.c_prev = m.c_last


def climb(m_at: int, day: int, upto: bool) -> bool:
    """M4: carry METRICS.leaf up the tree as far as its nodes are complete before session `day`; with `upto` to the top.

    True if it reached the level of the blocks.
    """
    m = at(m_at, METRICS)
    x_at = m_at + OFF_LEAF
    d = m.day
    for j in range(m.k):
        left_at = m_at + OFF_LEVEL + j * NODE_BYTES
        if not upto and (d >> (j + 1)) == (day >> (j + 1)):
            copy_words(left_at, x_at, NODE_WORDS)
            return False
        left = at(left_at, NODE)
        if ((d >> j) & 1) == 1 and left.n > 0:
            merge(left_at, x_at)
            copy_words(x_at, left_at, NODE_WORDS)
            left.n = 0
    return True


def add_cell(m_at: int) -> None:
    """Append the node METRICS.leaf, complete at level k, to the blocks."""
    m = at(m_at, METRICS)
    cell_at = m_at + OFF_CELL + m.n_cells * NODE_BYTES
    copy_words(cell_at, m_at + OFF_LEAF, NODE_WORDS)
    at(cell_at, NODE).index = m.day >> m.k
    m.n_cells += 1


def widen(m_at: int, day: int) -> None:
    """M4: double the blocks' width; a node whose sibling session `day` still belongs to returns to the tree."""
    m = at(m_at, METRICS)
    n = 0
    j = 0
    cells = m_at + OFF_CELL
    while j < m.n_cells:
        a_at = cells + j * NODE_BYTES
        parent = at(a_at, NODE).index >> 1
        j += 1
        if j < m.n_cells and at(cells + j * NODE_BYTES, NODE).index >> 1 == parent:
            merge(a_at, cells + j * NODE_BYTES)
            j += 1
        if parent == day >> (m.k + 1):
            copy_words(m_at + OFF_LEVEL + m.k * NODE_BYTES, a_at, NODE_WORDS)
        else:
            copy_words(cells + n * NODE_BYTES, a_at, NODE_WORDS)
            at(cells + n * NODE_BYTES, NODE).index = parent
            n += 1
    m.n_cells = n
    m.k += 1


def next_session(m_at: int, day: int, equity: float) -> None:
    """The first bar of session `day` has come: close the session before it."""
    close_session(m_at, equity)
    if climb(m_at, day, False):
        add_cell(m_at)
    m = at(m_at, METRICS)
    while (day >> m.k) - (m.first >> m.k) >= MAX_CELLS:
        widen(m_at, day)
    m.day = day


def finish(m_at: int, equity: float) -> None:
    """Close the last session: all blocks are in METRICS.cell, their left fold (M5) in METRICS.leaf.

    Work on a copy to go on.
    """
    m = at(m_at, METRICS)
    close_session(m_at, equity)
    climb(m_at, 0, True)
    add_cell(m_at)
    copy_words(m_at + OFF_LEAF, m_at + OFF_CELL, NODE_WORDS)
    fold(m_at + OFF_LEAF, m_at + OFF_CELL + NODE_BYTES, m.n_cells - 1)


def ratio(a: float, b: float) -> float:
    """a / b, NaN where b is not positive.

    >>> ratio(1.0, 4.0), ratio(1.0, 0.0)
    (0.25, nan)
    """
    return a / b if b > 0.0 else NAN


def variance(n: float, s1: float, s2: float) -> float:
    """M5: sample variance from sums; NaN of fewer than two samples, 0 where all are equal up to rounding.

    >>> variance(2.0, 3.0, 5.0), variance(1.0, 1.0, 1.0)
    (0.5, nan)
    """
    if n < 2.0:
        return NAN
    var = (s2 - (s1 * s1) / n) / (n - 1.0)
    return 0.0 if var <= ((n * EPSILON) * s2) / (n - 1.0) else var


def sharpe_ratio(n: float, s1: float, var: float, periods: float) -> float:
    """M5: annual, from the sum and the variance of `n` returns; NaN without variance.

    >>> sharpe_ratio(4.0, 8.0, 4.0, 9.0), sharpe_ratio(4.0, 8.0, 0.0, 9.0)
    (3.0, nan)
    """
    return ((s1 / n) / sqrt(var)) * sqrt(periods) if var > 0.0 else NAN


def annual_deviation(var: float, periods: float) -> float:
    """M5: the volatility, NaN of fewer than two samples.

    >>> annual_deviation(4.0, 9.0)
    6.0
    """
    return sqrt(var * periods) if var >= 0.0 else NAN


def sortino_ratio(n: float, s1: float, d2: float, periods: float) -> float:
    """M5: annual, from the sum of `n` returns and that of the squared losses; NaN without a loss.

    >>> sortino_ratio(4.0, 8.0, 4.0, 9.0), sortino_ratio(4.0, 8.0, 0.0, 9.0)
    (6.0, nan)
    """
    return ((s1 / n) / sqrt(d2 / n)) * sqrt(periods) if d2 > 0.0 else NAN


def join_rows(nodes: int, rows: int, n: int, periods: float, out_at: int) -> None:
    """M30: in each of `rows` rows of `n` nodes the first absorbs all others; volatility, Sharpe and Sortino ratio."""
    for row in range(rows):
        a_at = nodes + row * n * NODE_BYTES
        j = 0
        while j < n - 1 and at(a_at + j * NODE_BYTES, NODE).n == 0:
            j += 1
        if j > 0:
            copy_words(a_at, a_at + j * NODE_BYTES, NODE_WORDS)
        fold(a_at, a_at + (j + 1) * NODE_BYTES, n - 1 - j)
        s = at(a_at, NODE)
        samples = float(s.n)
        var = variance(samples, s.s1, s.s2)
        put_f8(out_at + 24 * row, annual_deviation(var, periods))
        put_f8(out_at + 24 * row + 8, sharpe_ratio(samples, s.s1, var, periods))
        put_f8(out_at + 24 * row + 16, sortino_ratio(samples, s.s1, s.d2, periods))


def headline(m_at: int, account_at: int, t_peak: int, time: int, periods: float, ruined: int, out_at: int) -> None:
    """M5, M6: the metrics of a finished trial, in the order of layout.HEADLINE, as float64 from `out_at` on."""
    m = at(m_at, METRICS)
    a = at(account_at, ACCOUNT)
    s = at(m_at + OFF_LEAF, NODE)
    n = float(s.n)
    var = variance(n, s.s1, s.s2)
    years = (float(time - m.t_start) / DAY_NS) / 365.25
    cagr = NAN
    if ruined != 0:
        cagr = -1.0
    elif years > 0.0:
        cagr = exp(log(a.equity / a.cash0) / years) - 1.0
    longest = m.longest
    if m.under != 0:
        longest = max(longest, time - t_peak)
    put_f8(out_at, a.equity / a.cash0 - 1.0)
    put_f8(out_at + 8, cagr)
    put_f8(out_at + 16, annual_deviation(var, periods))
    put_f8(out_at + 24, sharpe_ratio(n, s.s1, var, periods))
    put_f8(out_at + 32, sortino_ratio(n, s.s1, s.d2, periods))
    put_f8(out_at + 40, ratio(cagr, s.mdd))
    put_f8(out_at + 48, s.mdd)
    put_f8(out_at + 56, float(longest) / DAY_NS)
    put_f8(out_at + 64, float(a.n_fills))
    put_f8(out_at + 72, float(a.n_trades))
    put_f8(out_at + 80, ratio(float(a.n_wins), float(a.n_trades)))
    put_f8(out_at + 88, ratio(a.gross_profit, a.gross_loss))
    put_f8(out_at + 96, float(m.exposed) / float(m.n_bars))
    put_f8(out_at + 104, ratio(a.turnover, years))
    put_f8(out_at + 112, a.fees)
    put_f8(out_at + 120, a.equity)
