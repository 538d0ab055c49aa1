"""An S3 server on this computer, for tests."""

from __future__ import annotations

import http.client
import http.server
import logging
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest


class _Proxy(http.server.BaseHTTPRequestHandler):
    """Passes requests on to the S3 server behind it, but for what ``misbehaves`` says."""

    protocol_version = "HTTP/1.1"
    behind: tuple[str, int]
    misbehaves: Callable[[_Proxy], bool]

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if type(self).misbehaves(self):
            return
        connection = http.client.HTTPConnection(*self.behind)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass_on  # noqa: N815 -- names of the library

    def answer(self, status: int, code: str) -> bool:
        """Answers with an error of S3."""
        content = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return True

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@contextmanager
def misbehaving(
    monkeypatch: pytest.MonkeyPatch, misbehaves: Callable[[_Proxy], bool]
) -> Iterator[str]:
    """Starts an S3 server behind a proxy that answers some requests itself, or never.

    Args:
        monkeypatch: sets the environment.
        misbehaves: deals with a request; returns False to pass it on.

    Yields:
        The address of the bucket.
    """
    from remission.records.s3 import StoreOnS3

    with s3_server(monkeypatch) as bucket:
        _, _, host = os.environ["AWS_ENDPOINT_URL"].rpartition("/")
        name, _, port = host.partition(":")
        values = {"behind": (name, int(port)), "misbehaves": staticmethod(misbehaves)}
        handler = type("Proxy", (_Proxy,), values)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as proxy:
            proxy.daemon_threads = True
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
            StoreOnS3.clear_instance_cache()
            yield bucket
            proxy.shutdown()


@contextmanager
def s3_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Starts an empty S3 server with a bucket; the environment names it and its credentials.

    Yields:
        The address of the bucket, ``s3://...``.
    """
    s3fs = pytest.importorskip("s3fs")
    server_module = pytest.importorskip("moto.server")
    from remission.records.s3 import StoreOnS3

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    forget = (s3fs.S3FileSystem, StoreOnS3)
    for one in forget:
        one.clear_instance_cache()
    try:
        bucket = f"bucket-{uuid.uuid4().hex}"  # all servers of a process share their buckets
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
    finally:
        for one in forget:
            one.clear_instance_cache()
        server.stop()
