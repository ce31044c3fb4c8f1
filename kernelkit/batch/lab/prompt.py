"""Answers of a kernel that leave the server at once."""

from __future__ import annotations

from typing import Any


def prompt(connection: type) -> type:
    """The class of connections between browsers and kernels, whose small messages do not wait.

    A kernel says that it is busy, then answers; TCP holds the answer back until the browser has acknowledged the first
    message (Nagle's algorithm, RFC 896), which it may put off for 40 ms (RFC 1122, 4.2.3.2). jupyter_server leaves
    that on: without it a slider of `kk.explore` would be 40 ms behind the hand.
    """

    class Prompt(connection):  # type: ignore[misc]  # what it is, is known at run time
        def connect(self) -> Any:
            self.websocket_handler.set_nodelay(True)
            return super().connect()

    return Prompt
