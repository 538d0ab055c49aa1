"""S3 for stores: every failure of the network or of the server is an :class:`OSError`."""

from __future__ import annotations

import errno
from typing import Any

import fsspec
from botocore.exceptions import (
    BotoCoreError,
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
)
from s3fs import S3FileSystem

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)


class StoreOnS3(S3FileSystem):  # type: ignore[misc]  # s3fs has no types
    """S3FileSystem, whose calls raise OSError where botocore raises errors of its own."""

    async def _call_s3(self, method: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        try:
            return await super()._call_s3(method, *arguments, **options)
        except _CREDENTIALS as error:
            raise PermissionError(errno.EACCES, str(error)) from error
        except BotoCoreError as error:
            raise OSError(errno.EIO, str(error)) from error


def register() -> None:
    """Makes fsspec use this class for ``s3://``."""
    fsspec.register_implementation("s3", StoreOnS3, clobber=True)
