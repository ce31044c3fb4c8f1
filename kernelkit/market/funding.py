"""What holders of perpetual contracts pay each other: funding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kernelkit.errors import DataError, message


def payments(position: ArrayLike, rate: ArrayLike, mark: ArrayLike, inverse: bool = False) -> NDArray[np.float64]:
    """What each position receives at a funding time; negative is paid.

    ``-((position * mark) * rate)`` in quote currency: a positive rate is paid by longs to shorts. With ``inverse``
    ``-((position / mark) * rate)`` in base currency, the position being its value in quote currency. A mark or rate
    that is not known (NaN) gives 0.0, as no payment can be computed.

    ``position`` is signed, in base units, as held just before the funding time; ``rate`` a fraction for the interval;
    ``mark`` in quote currency. The three broadcast. Raises DataError where they do not, and for a mark that is not
    positive.

    Source: Binance, Introduction to Binance Futures Funding Rates: nominal value of positions times funding rate.

    >>> payments([10.0, -10.0, 10.0], 0.0001, [2.0, 2.0, float("nan")]).tolist()
    [-0.002, 0.002, 0.0]
    """
    arrays = [np.asarray(a, "f8") for a in (position, rate, mark)]
    try:
        held, due, price = np.broadcast_arrays(*arrays)
    except ValueError:
        found = ", ".join(str(a.shape) for a in arrays)
        fix = "Give one value, or one for each funding time."
        raise DataError(message("position, rate and mark", f"shapes {found}", "shapes that match", fix)) from None
    if (price <= 0.0).any():
        raise DataError(message("mark", float(price[price <= 0.0][0]), "prices above 0, or NaN", "Look at the data."))
    paid = -((held / price if inverse else held * price) * due)
    return np.where(np.isnan(price) | np.isnan(due), 0.0, paid + 0.0)


def position_at(fills: Any, times: ArrayLike) -> NDArray[np.float64]:
    """The position held just before each of ``times``, in base units, from a table as `kernelkit.fills` gives it.

    A fill that is stamped exactly at a funding time comes after it. ``fills`` has the columns time, side and quantity,
    in order; ``times`` are datetimes, UTC. Raises DataError for fills that are not in order of time.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"time": pd.to_datetime(["2024-01-01 00:00", "2024-01-01 09:00"]),
    ...                       "side": ["buy", "sell"], "quantity": [2.0, 0.5]})
    >>> position_at(table, pd.to_datetime(["2024-01-01 00:00", "2024-01-01 08:00", "2024-01-01 16:00"])).tolist()
    [0.0, 2.0, 1.5]
    """
    stamps = _nanoseconds(fills["time"])
    if (np.diff(stamps) < 0).any():
        raise DataError(
            message("time of the fills", "times that go back", "times in order", 'Use .sort_values("time").')
        )
    signed = np.where(np.asarray(fills["side"]) == "buy", 1.0, -1.0) * np.asarray(fills["quantity"], "f8")
    held = np.concatenate([[0.0], np.cumsum(signed)])
    return held[np.searchsorted(stamps, _nanoseconds(times), side="left")]


def _nanoseconds(times: ArrayLike) -> NDArray[np.int64]:
    """Datetimes, in UTC where they say a zone, as int64 ns."""
    import pandas as pd

    index = pd.DatetimeIndex(times)
    naive = index.tz_convert("UTC").tz_localize(None) if index.tz is not None else index
    found: NDArray[np.int64] = naive.to_numpy().astype("datetime64[ns]").astype("i8")
    return found
