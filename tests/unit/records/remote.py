"""An S3 server on this computer, for tests."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


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
