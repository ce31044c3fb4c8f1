"""Answers of a kernel do not wait in the server for the browser's acknowledgement."""

from __future__ import annotations

import json
import socket

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


async def test_prompt__small_messages_of_a_kernel_are_sent_at_once(jp_fetch, jp_ws_fetch, jp_serverapp):
    started = json.loads((await jp_fetch("api", "kernels", method="POST", allow_nonstandard_methods=True)).body)
    browser = await jp_ws_fetch("api", "kernels", started["id"], "channels")
    try:
        (connection,) = (one for one in ZMQChannelsWebsocketConnection._open_sockets if one.kernel_id == started["id"])
        wire = connection.websocket_handler.ws_connection.stream.socket
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    finally:
        browser.close()
        await jp_serverapp.kernel_manager.shutdown_kernel(started["id"], now=True)
