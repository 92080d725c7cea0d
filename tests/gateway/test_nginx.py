"""nginx itself, with ``deploy/nginx/remit.conf``, in front of an API that checks delegated tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from support.proxies import DEPLOY, SECRET, Proxied, program, proxied, replaced
from support.proxy_cases import ALL

NGINX = program("nginx")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed; `.ci/nginx` installs it and runs these"),
]

_MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/remit.conf;
}}
"""


def configure(folder: Path, port: int, remit: int, api: int) -> list[str]:
    text = replaced(
        (DEPLOY / "nginx" / "remit.conf").read_text("utf-8"),
        listen=f"listen 8080; → listen 127.0.0.1:{port};",
        remit=f"server 127.0.0.1:8700; → server 127.0.0.1:{remit};",
        api=f"server 127.0.0.1:8701; → server 127.0.0.1:{api};",
    )
    (folder / "remit.conf").write_text(text, "utf-8")
    example = (DEPLOY / "nginx" / "remit-secret.conf.example").read_text("utf-8")
    secret = replaced(example, secret=f"what the file of gateway.forward_auth.secret holds → {SECRET}")
    (folder / "remit-secret.conf").write_text(secret, "utf-8")
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder), "utf-8")
    return [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


@pytest.mark.parametrize("case", ALL.values(), ids=ALL.keys())
async def test_behind_nginx(tmp_path: Path, case: Callable[[Proxied], Awaitable[None]]) -> None:
    async with proxied(tmp_path, "nginx", configure) as proxy:
        await case(proxy)
