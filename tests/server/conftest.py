from __future__ import annotations

import json

import pytest


@pytest.fixture
def jp_server_config():
    # warnings are errors here, and the terminals' routes warn: nothing of ours needs them
    extensions = {"kernelkit.batch.lab": True, "jupyter_server_terminals": False}
    return {"ServerApp": {"jpserver_extensions": extensions, "allow_unauthenticated_access": False}}


@pytest.fixture
def get(jp_fetch):
    """GET a route below /kernelkit/ and read its JSON."""

    async def fetch(*path: str) -> dict[str, object]:
        response = await jp_fetch("kernelkit", *path)
        assert response.headers["Content-Type"].startswith("application/json")
        return json.loads(response.body)

    return fetch
