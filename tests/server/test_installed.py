"""What `pip install` put where Jupyter looks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SHARE = Path(sys.prefix) / "share"


def listing(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", "jupyter", *command], check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_lab_extension__is_enabled():
    line = next(line for line in listing("labextension", "list").splitlines() if "@kernelkit/labextension" in line)
    assert "enabled" in line
    assert "OK" in line


def test_lab_extension__carries_its_parts():
    folder = SHARE / "jupyter" / "labextensions" / "@kernelkit" / "labextension"
    build = json.loads((folder / "package.json").read_text())["jupyterlab"]["_build"]
    assert (folder / build["load"]).is_file()
    assert {"extension", "mimeExtension", "style"} <= build.keys()
    assert (folder / "schemas" / "@kernelkit" / "labextension" / "plugin.json").is_file()
    assert json.loads((folder / "install.json").read_text())["packageName"] == "kernelkit"


def test_server_extension__is_enabled():
    lines = listing("server", "extension", "list").splitlines()
    assert any("kernelkit.batch.lab" in line and "enabled" in line for line in lines)
    assert any("kernelkit.batch.lab" in line and "OK" in line for line in lines)


def test_templates__are_installed():
    assert (SHARE / "kernelkit" / "templates" / "walk_forward.ipynb").is_file()
