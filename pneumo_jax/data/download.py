"""Fetch one file over http: resumable, proven by its MD5, and only then under its name."""

import hashlib
import http.client
import io
import os
import pathlib
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request

from pneumo_jax.errors import UserError

ATTEMPTS = 4
PAUSE = 1.0  # s, doubled after every failed attempt
TIMEOUT = 20.0  # s without a byte
CHUNK = 2**20
LARGEST = 32 * 2**30  # bytes; the largest file of MedMNIST has 13 GB


class UnavailableError(UserError):
    """The file cannot be had here and now: no network, or no room to put it."""


def fetch(url: str, target: pathlib.Path, md5: str) -> None:
    """Download `url` to `target`, from `target.part` on where an earlier call broke off.

    Where $PNEUMO_JAX_MIRROR is set (closed networks), MIRROR/FILENAME is fetched instead.

    Raises:
      UnavailableError: for no connection, a server that keeps failing, a folder that is full or
        cannot be written.
      UserError: where the address does not have the file, or has another one.
    """
    url = _mirrored(url)
    by_hand = f"To get it by hand: curl -L --create-dirs -o {target} '{url}'"
    try:
        _fetch(url, target, md5)
    except urllib.error.HTTPError as error:
        kind = UnavailableError if _passing(error) else UserError
        raise kind(f'{url}: the server answers {error.code} {error.reason}. {by_hand}') from error
    except OSError as error:
        reason = getattr(error, 'reason', error)  # urllib wraps what the socket said
        raise UnavailableError(f'{url} cannot be downloaded: {reason}. {by_hand}') from error
    except ValueError as error:
        raise UserError(f'{url}: {error}. {by_hand}') from error


def md5_of(path: pathlib.Path) -> str:
    """The MD5 of a file, in hexadecimal; about 1.5 s per GB."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'md5').hexdigest()


def _mirrored(url: str) -> str:
    mirror = os.environ.get('PNEUMO_JAX_MIRROR', '')
    if not mirror:
        return url
    try:
        scheme = urllib.parse.urlsplit(mirror).scheme
    except ValueError as error:
        raise UserError(f'$PNEUMO_JAX_MIRROR={mirror!r}: {error}.') from error
    if scheme not in ('http', 'https'):
        raise UserError(f'$PNEUMO_JAX_MIRROR={mirror!r}: must begin with http:// or https://.')
    return f'{mirror.rstrip("/")}/{pathlib.PurePosixPath(urllib.parse.urlsplit(url).path).name}'


def _fetch(url: str, target: pathlib.Path, md5: str) -> None:
    part = target.with_name(f'{target.name}.part')
    target.parent.mkdir(parents=True, exist_ok=True)
    with part.open('ab') as file:
        _lock(file)
        if target.exists():  # another process was faster
            return
        resumed = file.tell() > 0
        _complete(url, file)
        if resumed and md5_of(part) != md5:  # what was there belonged to another file
            file.truncate(0)
            _complete(url, file)
        if md5_of(part) != md5:
            file.truncate(0)
            raise ValueError('the file there has another MD5 than the official one')
        part.replace(target)


def _lock(file: io.BufferedWriter) -> None:
    """Wait until no other process writes this file. Closing it releases the lock."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX)


def _complete(url: str, file: io.BufferedWriter) -> None:
    """Append what the file lacks, in several attempts where the connection breaks."""
    for attempt in range(ATTEMPTS):
        time.sleep(PAUSE * 2**attempt if attempt else 0)
        try:
            return _receive(url, file)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return None  # nothing is missing, or all of it is wrong: the MD5 will tell
            if not _passing(error) or attempt == ATTEMPTS - 1:
                raise
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            broken: Exception = error
    raise OSError(f'the transfer broke off {ATTEMPTS} times, the last by {broken!r}')


def _passing(error: urllib.error.HTTPError) -> bool:
    return error.code >= 500 or error.code == http.HTTPStatus.TOO_MANY_REQUESTS


def _receive(url: str, file: io.BufferedWriter) -> None:
    from tqdm import tqdm

    have = file.seek(0, io.SEEK_END)
    request = urllib.request.Request(url, headers={'Range': f'bytes={have}-'} if have else {})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
        if have and response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0  # this server cannot continue, and sends all of it
            file.truncate(0)
        total = have + int(response.headers['Content-Length'] or 0)
        _check_room(total - have, file)
        with tqdm(
            desc=pathlib.Path(file.name).stem,
            total=total or None,
            initial=have,
            unit='B',
            unit_scale=True,
            disable=None,
        ) as bar:
            while chunk := response.read(CHUNK):
                have += file.write(chunk)
                bar.update(len(chunk))
                if have > LARGEST:
                    raise ValueError('it is larger than any file of MedMNIST')
    file.flush()
    if have < total:
        raise http.client.IncompleteRead(b'', total - have)


def _check_room(missing: int, file: io.BufferedWriter) -> None:
    free = shutil.disk_usage(pathlib.Path(file.name).parent).free
    if missing > free:
        raise OSError(f'{missing / 1e9:.1f} GB are missing, and {free / 1e9:.1f} GB are free')
