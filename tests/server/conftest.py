from __future__ import annotations

import json
import urllib.parse
from collections.abc import Sequence

import pytest
from tornado.httpclient import HTTPClientError

# The first call of some routes starts a process, and imports heavy packages there.
PATIENCE_S = 120
Query = Sequence[tuple[str, str]]


@pytest.fixture
def jp_server_config():
    # warnings are errors here, and the terminals' routes warn: nothing of ours needs them
    extensions = {"kernelkit.batch.lab": True, "jupyter_server_terminals": False}
    return {"ServerApp": {"jpserver_extensions": extensions, "allow_unauthenticated_access": False}}


@pytest.fixture
def get(jp_fetch):
    """GET a route below /kernelkit/ and read its JSON."""

    async def fetch(*path: str, query: Query = ()) -> dict[str, object]:
        response = await jp_fetch("kernelkit", *path, params=query, request_timeout=PATIENCE_S)
        assert response.headers["Content-Type"].startswith("application/json")
        return json.loads(response.body)

    return fetch


@pytest.fixture
def refusal(http_server_client, jp_auth_header, jp_base_url):
    """GET a route below /kernelkit/ that refuses: its code, and what it says. Each part of the path is quoted whole."""

    async def fetch(*path: str, query: Query = ()) -> tuple[int, str]:
        quoted = [urllib.parse.quote(part, safe="").replace(".", "%2E") for part in path]
        url = f"{jp_base_url}kernelkit/{'/'.join(quoted)}?{urllib.parse.urlencode(query)}"
        with pytest.raises(HTTPClientError) as refused:
            await http_server_client.fetch(url, headers=dict(jp_auth_header), request_timeout=PATIENCE_S)
        return refused.value.code, json.loads(refused.value.response.body)["message"]

    return fetch
