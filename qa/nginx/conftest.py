"""nginx in front of an app."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from qa.nginx.support import NGINX, Behind
from tests.support.hanging import SECONDS

CONFIG = """
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
"""


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    started: list[subprocess.Popen[bytes]] = []

    def start(server: str, app: str) -> str:
        assert NGINX is not None
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        for known, ours in (("8080", f"127.0.0.1:{port}"), ("http://127.0.0.1:7860", app)):
            assert known in server
            server = server.replace(known, ours)
        folder = tmp_path / str(port)
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(CONFIG + server + "}", encoding="utf-8")
        options = ["-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
        started.append(subprocess.Popen([NGINX, *options, "-g", "daemon off;"]))
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), SECONDS).close()
            except ConnectionRefusedError:
                assert started[-1].poll() is None
            else:
                return f"http://127.0.0.1:{port}"

    yield start
    for process in started:
        process.terminate()
        process.wait()
