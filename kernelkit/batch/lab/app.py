"""The application that a Jupyter server loads."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from jupyter_server.extension.application import ExtensionApp
from traitlets import Int, Unicode

from kernelkit.batch.lab import cluster, compare, helper, ledger, runs, templates
from kernelkit.batch.lab.events import WATCHER, Watcher
from kernelkit.batch.lab.handler import QUEUE, STORE
from kernelkit.batch.lab.prompt import prompt
from kernelkit.batch.lab.store import Store
from kernelkit.batch.queue import Queue
from kernelkit.errors import RunError

CONNECTION = "kernel_websocket_connection_class"  # as jupyter_server names it among its settings


class KernelkitApp(ExtensionApp):
    """Serves the runs below `runs_dir` and the templates that `kernelkit run` knows."""

    name = "kernelkit"
    description = "Runs and templates of kernelkit for JupyterLab."
    handlers = [  # noqa: RUF012  jupyter_server declares it as an instance's
        *(*cluster.ROUTES, *compare.ROUTES, *ledger.ROUTES),
        *(*runs.ROUTES, *templates.ROUTES),
    ]

    runs_dir = Unicode(
        "runs", help="The folder of runs (`kernelkit run --out`), absolute or below the server's root folder."
    ).tag(config=True)

    # each run computes on several cores itself
    jobs = Int(
        max(1, (os.cpu_count() or 1) // 4),
        min=1,
        help="Runs that the queue of the server makes at a time; a fourth of the cores by default.",
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Tell the routes where the runs are, who watches them, and who makes more."""
        server = self.serverapp
        if server is None or server.event_logger is None:
            raise RunError("kernelkit's server extension has no server; start it with: jupyter lab")
        root = Path(server.root_dir).resolve()
        store = Store(root / Path(self.runs_dir).expanduser(), root)
        self.settings |= {
            STORE: store,
            WATCHER: Watcher(store, server.event_logger, self.log),
            QUEUE: Queue(self.jobs),
            CONNECTION: prompt(self.settings[CONNECTION]),
        }

    async def stop_extension(self) -> None:
        """Look at no runs any more, and stop those that this server makes, and its helpers."""
        watcher: Watcher = self.settings[WATCHER]
        queue: Queue = self.settings[QUEUE]
        await watcher.stop()
        helper.close()
        await asyncio.to_thread(queue.close)
