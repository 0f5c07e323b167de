"""The server of the demo page: Python's own, for this machine."""

from __future__ import annotations

import ipaddress
import json
import re
import sys
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Full
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tevit_vis.utils.errors import InputError
from tevit_vis.utils.files import writing_faults

from .jobs import DRAWN, LINES, DemoJob, DemoJobs

PAGE = Path(__file__).parent / 'page.html'
TYPES = {DRAWN: 'video/mp4', LINES: 'application/x-ndjson'}
CHUNK = 1 << 20  # bytes that are received or sent at a time
IDLE_SECONDS = 60  # after which a connection that says nothing is closed
UPLOAD_SECONDS = 600  # that a video may take to come


class DemoServer(ThreadingHTTPServer):
    """Listens at an address, and serves the page once there are jobs.

    Args:
        host: address to listen at. Only this machine reaches the default; others reach
            ``0.0.0.0``, and everybody who can may use the page.
        port: to listen at; 0 takes a free one, ``server_port``.

    Raises:
        InputError: the port is taken, or the address is none of this machine.

    Example:
        >>> server = DemoServer(port=0)
        >>> server.serve(DemoJobs(model, folder))  # doctest: +SKIP
        >>> server.server_close()
    """

    jobs: DemoJobs

    def __init__(self, host: str = '127.0.0.1', port: int = 7860) -> None:
        self.host = host
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise InputError(
                f'--port {port}: cannot be listened at on {host} ({reason}): name another'
            ) from None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing where a client has gone, as browsers do when they seek."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def serve(self, jobs: DemoJobs) -> None:
        """Serves the page until ``shutdown`` is called or Ctrl-C ends the process."""
        self.jobs = jobs
        try:
            self.serve_forever()
        finally:
            jobs.close()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    server: DemoServer
    timeout = IDLE_SECONDS
    protocol_version = 'HTTP/1.1'

    @property
    def jobs(self) -> DemoJobs:
        return self.server.jobs

    def do_GET(self) -> None:  # noqa: N802  (http.server's name for it)
        path = urlsplit(self.path).path
        match = re.fullmatch(r'/videos/([\w-]+)(?:/([\w.]+))?', path)
        job = self.jobs.find(match[1]) if match else None
        if not self._is_ours():
            self._refuse(HTTPStatus.FORBIDDEN, 'this page is for this machine')
        elif path == '/':
            self._send(PAGE.read_bytes(), 'text/html; charset=utf-8')
        elif path == '/model':
            limits, windows = self.jobs.options, self.jobs.model.inference_config.windows
            self._send_json(
                classes=list(self.jobs.model.CLASSES),
                window=windows.length if windows else None,
                max_bytes=limits.max_bytes,
                max_frames=limits.max_frames,
            )
        elif job is None or match is None:
            self._refuse(HTTPStatus.NOT_FOUND, 'there is no such page')
        elif match[2] is None:
            self._send_json(**job.to_json())
        elif match[2] in TYPES and job.state == 'done':
            self._send_file(job.folder / match[2], TYPES[match[2]])
        else:
            self._refuse(HTTPStatus.NOT_FOUND, 'there is no such file')

    def do_POST(self) -> None:  # noqa: N802
        address = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(address.query).items()}
        if not self._is_ours() or address.path != '/videos':
            self._refuse(HTTPStatus.FORBIDDEN, 'videos come from this page only')
            return
        name = Path(query.get('name', 'video')).name[:100] or 'video'
        upload = ''  # the name of the file here, which is not shown
        try:
            with self.jobs.receive(name, _score(query.get('score', '0.3'))) as job:
                upload = str(job.upload)
                self._receive(job)
        except Full:
            message = 'too many videos are waiting: try again later'
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, message)
        except InputError as error:
            message = str(error).replace(upload, name) if upload else str(error)
            self._refuse(HTTPStatus.BAD_REQUEST, message)
        else:
            self._send_json(**job.to_json())

    def _is_ours(self) -> bool:
        """Whether the request is for this server and from its own page.

        A page elsewhere could otherwise use the server through the browser of its visitor, also
        under a name that it points to this machine; an address of numbers cannot be pointed.
        """
        name = self.headers.get('Host', '')
        host = re.sub(r':\d+$', '', name)
        is_named = host in ('localhost', self.server.host) or _is_address(host)
        return is_named and self.headers.get('Origin') in (None, f'http://{name}')

    def _receive(self, job: DemoJob) -> None:
        """Writes the body of the request to the job's file.

        Raises:
            InputError: it is too long, or broke off.
        """
        limit = self.jobs.options.max_bytes
        length = self.headers.get('Content-Length', '')
        if not re.fullmatch(r'\d{1,15}', length):
            raise InputError(f'{job.name}: must come with its length')
        if int(length) > limit:
            raise InputError(
                f'{job.name}: must have at most {limit / 1e6:g} MB, '
                f'but has {int(length) / 1e6:.0f} MB'
            )
        rest, end = int(length), time.monotonic() + UPLOAD_SECONDS
        with writing_faults(job.upload), job.upload.open('wb') as file:
            while rest:
                part = self.rfile.read1(min(CHUNK, rest))
                if not part or time.monotonic() > end:
                    raise InputError(f'{job.name}: {"took too long" if part else "broke off"}')
                file.write(part)
                rest -= len(part)

    def _send_json(self, **content: Any) -> None:
        self._send(json.dumps(content).encode(), 'application/json')

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self.close_connection = True  # a body that was not read would be taken for a request
        self._send(json.dumps({'error': message}).encode(), 'application/json', status)

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send_head(status, kind, len(body))
        self.wfile.write(body)

    def _send_head(
        self, status: HTTPStatus, kind: str, length: int, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        policy = (
            "default-src 'self'; img-src 'self' data:; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'"
        )
        for name, value in {
            'Content-Type': kind,
            'Content-Length': str(length),
            'Cache-Control': 'no-store',
            'Content-Security-Policy': policy,
            'X-Content-Type-Options': 'nosniff',
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header('Connection', 'close')
        self.end_headers()

    def _send_file(self, path: Path, kind: str) -> None:
        """Sends a file, or the part of it that a player asks for."""
        size = path.stat().st_size
        match = re.fullmatch(r'bytes=(\d{1,15})-(\d{0,15})', self.headers.get('Range', ''))
        first, last, status, headers = 0, size - 1, HTTPStatus.OK, {'Accept-Ranges': 'bytes'}
        if match and int(match[1]) >= size:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, 'the file ends before')
            return
        if match and int(match[2] or last) >= int(match[1]):
            first, last = int(match[1]), min(last, int(match[2] or last))
            status = HTTPStatus.PARTIAL_CONTENT
            headers['Content-Range'] = f'bytes {first}-{last}/{size}'
        self._send_head(status, kind, last - first + 1, headers)
        with path.open('rb') as file:
            file.seek(first)
            for start in range(first, last + 1, CHUNK):
                self.wfile.write(file.read(min(CHUNK, last + 1 - start)))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Says nothing about requests that are answered."""


def _is_address(host: str) -> bool:
    """Returns whether a host is an address of numbers, such as 127.0.0.1 or [::1]."""
    try:
        ipaddress.ip_address(host.strip('[]'))
    except ValueError:
        return False
    return True


def _score(text: str) -> float:
    """Returns the least score of what is drawn.

    Raises:
        InputError: it is no number from 0 to 1.
    """
    try:
        score = float(text)
    except ValueError:
        score = -1
    if not 0 <= score <= 1:
        raise InputError(f'score: must be from 0 to 1, but is {text}')
    return score
