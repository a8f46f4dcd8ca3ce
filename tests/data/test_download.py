"""Downloads from a real server on this machine that breaks off, forgets, lies and refuses."""

import concurrent.futures
import hashlib
import http.server
import pathlib
import re
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from pneumo_jax.data import download
from pneumo_jax.data.download import UnavailableError, fetch
from pneumo_jax.errors import UserError

DATA = np.random.default_rng(0).bytes(3 * download.CHUNK + 12345)
MD5 = hashlib.md5(DATA).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves DATA under every name; the attributes make it misbehave."""

    data = DATA
    ranges = True
    status = 0  # answer every request with this error
    failures = 0  # so many requests are answered with 503 first
    break_after = 0  # bytes after which the connection ends
    breaks = 0  # on so many requests
    with_length = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.requests: list[tuple[str, str | None]] = []  # path and range
        self.served = 0  # bytes

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_port}'


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        wanted = self.headers['Range']
        server.requests.append((self.path, wanted))
        if server.failures:
            server.failures -= 1
            return self.send_error(503)
        if server.status:
            return self.send_error(server.status)
        start = int(re.findall(r'bytes=(\d+)-', wanted)[0]) if wanted and server.ranges else 0
        if start and start >= len(server.data):
            return self.send_error(416)
        body = server.data[start:]
        self.send_response(206 if start else 200)
        if server.with_length:
            self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: server.break_after]
        server.served += len(body)  # before the client can have it, and ask
        self.wfile.write(body)
        return None

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, 'PAUSE', 0.0)
    monkeypatch.setenv('no_proxy', '*')
    monkeypatch.delenv('PNEUMO_JAX_MIRROR', raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / 'new/folder/set.npz'


def part_of(target: pathlib.Path) -> pathlib.Path:
    return target.with_name('set.npz.part')


def test_a_whole_file(server: Server, target: pathlib.Path) -> None:
    fetch(f'{server.url}/files/set.npz?download=1', target, MD5)
    assert target.read_bytes() == DATA
    assert server.requests == [('/files/set.npz?download=1', None)]
    assert not part_of(target).exists()


def test_a_broken_transfer_is_resumed_in_the_same_call(
    server: Server, target: pathlib.Path
) -> None:
    server.break_after, server.breaks = 100_000, 2
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA
    assert [wanted for _, wanted in server.requests] == [None, 'bytes=100000-', 'bytes=200000-']
    assert server.served == len(DATA)


def test_a_truncated_transfer_is_resumed_by_the_next_call(
    server: Server, target: pathlib.Path
) -> None:
    server.break_after, server.breaks = 50_000, download.ATTEMPTS
    with pytest.raises(UnavailableError, match='broke off 4 times'):
        fetch(f'{server.url}/set.npz', target, MD5)
    assert not target.exists() and part_of(target).stat().st_size == 200_000
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA
    assert server.requests[-1][1] == 'bytes=200000-' and server.served == len(DATA)


def test_a_server_without_ranges_starts_again(server: Server, target: pathlib.Path) -> None:
    server.ranges, server.break_after, server.breaks = False, 100_000, 1
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA and server.served == len(DATA) + 100_000


def test_a_server_that_does_not_tell_the_length(server: Server, target: pathlib.Path) -> None:
    server.with_length = False
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize('piece', [b'of another file', b'longer' * len(DATA)])
def test_a_piece_of_another_file_is_thrown_away(
    server: Server, target: pathlib.Path, piece: bytes
) -> None:
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(piece)
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA


def test_a_complete_piece_is_only_renamed(server: Server, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(DATA)
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA and server.served == 0


def test_a_wrong_file_is_not_kept(server: Server, target: pathlib.Path) -> None:
    server.data = DATA[:-1] + b'x'
    with pytest.raises(UserError, match='another MD5') as error:
        fetch(f'{server.url}/set.npz', target, MD5)
    assert not target.exists() and part_of(target).stat().st_size == 0
    assert not isinstance(error.value, UnavailableError)
    server.data = DATA
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA


def test_not_found_is_the_users_matter(server: Server, target: pathlib.Path) -> None:
    server.status = 404
    with pytest.raises(UserError, match='the server answers 404 Not Found') as error:
        fetch(f'{server.url}/set.npz', target, MD5)
    assert not isinstance(error.value, UnavailableError)
    assert f"curl -L --create-dirs -o {target} '{server.url}/set.npz'" in str(error.value)
    assert len(server.requests) == 1


def test_a_busy_server_is_asked_again(server: Server, target: pathlib.Path) -> None:
    server.failures = 2
    fetch(f'{server.url}/set.npz', target, MD5)
    assert target.read_bytes() == DATA and len(server.requests) == 3


def test_a_server_that_stays_busy(server: Server, target: pathlib.Path) -> None:
    server.status = 503
    with pytest.raises(UnavailableError, match='503'):
        fetch(f'{server.url}/set.npz', target, MD5)
    assert len(server.requests) == download.ATTEMPTS


def test_no_connection(target: pathlib.Path) -> None:
    with socket.socket() as unused:
        unused.bind(('127.0.0.1', 0))
        url = f'http://127.0.0.1:{unused.getsockname()[1]}/set.npz'
        with pytest.raises(UnavailableError, match=r'[Cc]onnection refused') as error:
            fetch(url, target, MD5)
    assert f"-o {target} '{url}'" in str(error.value) and '\n' not in str(error.value)


def test_silence_ends_in_a_timeout(target: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, 'TIMEOUT', 0.05)
    with socket.socket() as deaf:
        deaf.bind(('127.0.0.1', 0))
        deaf.listen()
        with pytest.raises(UnavailableError, match='broke off'):
            fetch(f'http://127.0.0.1:{deaf.getsockname()[1]}/set.npz', target, MD5)


def test_a_place_that_cannot_be_written(server: Server, tmp_path: pathlib.Path) -> None:
    (tmp_path / 'file').write_text('not a folder')
    with pytest.raises(UnavailableError, match='cannot be downloaded'):
        fetch(f'{server.url}/set.npz', tmp_path / 'file/set.npz', MD5)
    assert not server.requests


def test_a_full_disk_is_noticed_before_the_transfer(
    server: Server, target: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = download.shutil.disk_usage('/')._replace(free=1000)
    monkeypatch.setattr(download.shutil, 'disk_usage', lambda _: used)
    with pytest.raises(UnavailableError, match=r'0\.0 GB are free'):
        fetch(f'{server.url}/set.npz', target, MD5)
    assert part_of(target).stat().st_size == 0


def test_an_endless_file_is_cut_off(
    server: Server, target: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, 'LARGEST', download.CHUNK)
    server.with_length = False
    with pytest.raises(UserError, match='larger than any'):
        fetch(f'{server.url}/set.npz', target, MD5)


def test_a_mirror_replaces_the_folder(
    server: Server, target: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('PNEUMO_JAX_MIRROR', f'{server.url}/our/mirror/')
    fetch('https://zenodo.org/records/1/files/set.npz?download=1', target, MD5)
    assert server.requests == [('/our/mirror/set.npz', None)]


@pytest.mark.parametrize('mirror', ['file:///etc', '/data', 'ftp://host/x'])
def test_a_mirror_is_http(
    target: pathlib.Path, monkeypatch: pytest.MonkeyPatch, mirror: str
) -> None:
    monkeypatch.setenv('PNEUMO_JAX_MIRROR', mirror)
    with pytest.raises(UserError, match='must begin with http'):
        fetch('https://zenodo.org/set.npz', target, MD5)
    monkeypatch.setenv('PNEUMO_JAX_MIRROR', 'http://[abc')
    with pytest.raises(UserError, match='Invalid IPv6 URL'):
        fetch('https://zenodo.org/set.npz', target, MD5)


def test_two_at_once_download_once(server: Server, target: pathlib.Path) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for task in [pool.submit(fetch, f'{server.url}/set.npz', target, MD5) for _ in range(4)]:
            task.result()
    assert target.read_bytes() == DATA and server.served == len(DATA)
