"""S3 for stores: every failure of the network or of the server is an :class:`OSError`."""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from aiohttp import ClientError
from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from s3fs import S3FileSystem

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Raises OSError where botocore and aiohttp raise errors of their own."""
    try:
        yield
    except OSError:
        raise
    except _CREDENTIALS as error:
        raise PermissionError(errno.EACCES, str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise OSError(errno.EIO, str(error)) from error


def _wrapped(method: Any) -> Any:  # noqa: ANN401 -- s3fs has no types
    @functools.wraps(method)
    async def call(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        with _as_os_errors():
            return await method(*arguments, **options)

    return call


def _reading(fetch: Callable[..., bytes]) -> Callable[..., bytes]:
    @functools.wraps(fetch)
    def call(*arguments: Any, **options: Any) -> bytes:  # noqa: ANN401
        with _as_os_errors():
            return fetch(*arguments, **options)

    return call


class StoreOnS3(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """S3FileSystem, whose methods raise OSError where the network or the server fails."""

    async def set_session(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Connects; an address of the server that is none is an OSError too."""
        try:
            with _as_os_errors():
                return await super().set_session(*arguments, **options)
        except ValueError as error:
            raise OSError(errno.EINVAL, f"AWS_ENDPOINT_URL or AWS_PROFILE: {error}") from error

    def _open(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        """Opens a file; when it is read, a body that ends early is an OSError too."""
        file = super()._open(*arguments, **options)
        if (cache := getattr(file, "cache", None)) is not None:
            cache.fetcher = _reading(cache.fetcher)
        return file


for _name, _method in inspect.getmembers(S3FileSystem, inspect.iscoroutinefunction):
    if _name.startswith("_") and _name not in vars(StoreOnS3):
        setattr(StoreOnS3, _name, _wrapped(_method))


def register() -> None:
    """Makes fsspec use this class for ``s3://``."""
    fsspec.register_implementation("s3", StoreOnS3, clobber=True)
