"""A run whose parameters change between two bars, as those of a walk-forward do (rule T9)."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kernelkit.kernels import layout as L
from kernelkit.kernels import orders
from kernelkit.kernels.block import header_of
from kernelkit.kernels.session import Session, compiled


@dataclass(frozen=True)
class Switch:
    """Before bar ``bar`` the strategy gets other parameters and state: ``words``, int64, of a session that saw it all.

    None leaves both as they are. ``called`` says from which of its bars on each asset's strategy is called (X9), None
    where all are one. With ``ends`` live orders are cancelled first, with ``flattens`` no position is asked for; with
    ``rests`` the strategy's orders are inert until the next one.
    """

    bar: int
    words: np.ndarray | None
    called: np.ndarray | None = None
    ends: bool = True
    flattens: bool = False
    rests: bool = False


def switch(session: Session, one: Switch) -> None:
    """Carry one out in a session that has come to its bar."""
    session.frame["inert"] = 0
    if one.ends:
        cancel_all(session)
    if one.flattens:
        flatten(session)
    if one.words is not None:
        session.words[0] = one.words
        session.call_from(one.called)
        session.share()
    session.frame["inert"] = one.rests


def advance(session: Session, until: int, switches: Iterable[Switch]) -> None:
    """Bring trial 0 to bar ``until``, through the switches on the way and that before it; raises Failed.

    A session that stands at a switch has been through it.
    """
    if session.group == (0, 0):
        session.lay(0, 1)
    begin = int(header_of(session.block)["i"])
    for one in switches:
        if begin < one.bar <= until:
            session.advance(one.bar)
            switch(session, one)
    session.advance(until)


def cancel_all(session: Session) -> None:
    """End every live order, as by a decision at the last bar."""
    at, numbers = session.frame.ctypes.data, (0.0,) * 6
    if session.python is not None:
        orders.act(at, L.V_CANCEL_ALL, 0, *numbers)
    else:
        kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * 3, *[ctypes.c_double] * 6)
        kind(compiled("act"))(at, L.V_CANCEL_ALL, 0, *numbers)


def flatten(session: Session) -> None:
    """Ask for no position, as by a decision of its own at the last bar."""
    at = session.frame.ctypes.data
    if session.python is not None:
        orders.flatten(at)
    else:
        ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(compiled("flatten"))(at)
