"""The app's files: uploads, served files, and the segments of its streams."""

from __future__ import annotations

import email.parser
import email.policy
import hashlib

from .description import App
from .http import ServerRequest, ServerResponse


class FileStorage:
    """Files by path, and the responses to requests for them."""

    def __init__(self, app: App) -> None:
        self.files: dict[str, bytes] = {}
        """The files that /file= serves: uploads, and files that the test adds."""
        self.headers: dict[str, dict[str, str]] = {}
        """Headers that /file= adds for a path; they override its own."""
        self.ranges = True
        """Whether /file= serves ranges of a file, and marks its version."""
        self.media: dict[str, bytes] = {}
        """The files that /stream/ serves: playlists and their segments."""
        self._app = app

    def upload(self, request: ServerRequest) -> ServerResponse:
        """Keep the files of a form."""
        header = b"content-type: " + request.headers.get("content-type", "").encode()
        parser = email.parser.BytesParser(policy=email.policy.HTTP)
        form = parser.parsebytes(header + b"\r\n\r\n" + request.body)
        paths: list[str] = []
        for part in form.iter_parts():
            if part.get_param("name", header="content-disposition") != "files":
                continue
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            limit = self._app.max_file_size
            if limit is not None and len(content) > limit:
                return ServerResponse(
                    413, {"detail": f"File size exceeded maximum allowed size {limit}"}
                )
            name = (part.get_filename() or "file").replace("\\", "/").rpartition("/")[2]
            path = f"/srv/tmp/{hashlib.sha256(content).hexdigest()}/{name}"
            self.files[path] = content
            paths.append(path)
        return ServerResponse(200, paths)

    def download(self, path: str, request: ServerRequest) -> ServerResponse:
        """Serve a file as Starlette's FileResponse does: with ETag and ranges."""
        if path not in self.files:
            return ServerResponse(403, {"detail": f"File not allowed: {path}."})
        content = self.files[path]
        headers = {"content-type": "application/octet-stream"}
        status = 200
        if self.ranges:
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            headers |= {"accept-ranges": "bytes", "etag": etag}
            wanted = request.headers.get("range", "")
            if wanted and request.headers.get("if-range", etag) == etag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                status = 206
                headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
                content = content[start:]
        headers |= self.headers.get(path, {})
        return ServerResponse(status, content, headers=[*headers.items()])

    def stream(self, path: str) -> ServerResponse:
        """Serve a playlist or a segment."""
        if path not in self.media:
            return ServerResponse(404, b"")
        return ServerResponse(200, self.media[path], headers=[("content-type", "audio/aac")])
