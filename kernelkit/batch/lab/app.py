"""The application that a Jupyter server loads."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.extension.application import ExtensionApp
from traitlets import Unicode

from kernelkit.batch.lab import runs, templates
from kernelkit.batch.lab.events import WATCHER, Watcher
from kernelkit.batch.lab.handler import STORE
from kernelkit.batch.lab.store import Store
from kernelkit.errors import RunError


class KernelkitApp(ExtensionApp):
    """Serves the runs below `runs_dir` and the templates that `kernelkit run` knows."""

    name = "kernelkit"
    description = "Runs and templates of kernelkit for JupyterLab."
    handlers = [*runs.ROUTES, *templates.ROUTES]  # noqa: RUF012  jupyter_server declares it as an instance's

    runs_dir = Unicode(
        "runs", help="The folder of runs (`kernelkit run --out`), absolute or below the server's root folder."
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Tell the routes where the runs are, and who watches them."""
        server = self.serverapp
        if server is None or server.event_logger is None:
            raise RunError("kernelkit's server extension has no server; start it with: jupyter lab")
        root = Path(server.root_dir).resolve()
        store = Store(root / Path(self.runs_dir).expanduser(), root)
        self.settings |= {STORE: store, WATCHER: Watcher(store, server.event_logger, self.log)}

    async def stop_extension(self) -> None:
        """Look at no runs any more."""
        watcher: Watcher = self.settings[WATCHER]
        await watcher.stop()
