"""Weights by the id of a hub: in processes of their own, against a hub of our own."""

from __future__ import annotations

import hashlib
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = """
import sys
from ser_runtime.errors import run_command
from ser_train.wav2vec2.weights import find_weights
run_command(lambda: print(find_weights(sys.argv[1]).sha256))
"""
# Nothing listens there: what asks it is refused at once.
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def hub(tiny_backbone: Path) -> Iterator[tuple[str, list[str]]]:
    """A hub with the one model `owner/tiny`, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

        def _answer(self) -> bytes:
            asked.append(self.path)
            file = tiny_backbone / self.path.split("/")[-1]
            known = self.path.startswith("/owner/tiny/resolve/") and file.is_file()
            content = file.read_bytes() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            return content

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def find(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess]:
    """Looks a model up, with an empty cache unless one is given."""

    def run(
        source: str, endpoint: str, home: Path | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        home = home or tmp_path_factory.mktemp("huggingface")
        environment = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **variables}
        return subprocess.run(
            [sys.executable, "-c", SCRIPT, source],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="module")
def downloaded(
    find: Callable[..., subprocess.CompletedProcess],
    hub: tuple[str, list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The cache after a download, and what that said."""
    home = tmp_path_factory.mktemp("huggingface")
    return home, find("owner/tiny", hub[0], home)


def sha256(tiny_backbone: Path) -> str:
    return hashlib.sha256((tiny_backbone / "model.safetensors").read_bytes()).hexdigest()


def test_a_model_of_the_hub_is_downloaded(
    downloaded: tuple[Path, subprocess.CompletedProcess[str]], tiny_backbone: Path
) -> None:
    done = downloaded[1]
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == sha256(tiny_backbone)


def test_a_downloaded_model_needs_no_hub(
    downloaded: tuple[Path, subprocess.CompletedProcess[str]],
    find: Callable[..., subprocess.CompletedProcess],
    tiny_backbone: Path,
) -> None:
    done = find("owner/tiny", NOWHERE, downloaded[0])
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == sha256(tiny_backbone)


def test_a_model_that_the_hub_does_not_know_is_told(
    find: Callable[..., subprocess.CompletedProcess], hub: tuple[str, list[str]]
) -> None:
    done = find("owner/tinny", hub[0])
    assert done.returncode == 12
    assert "has no model 'owner/tinny'" in done.stderr
    assert "no folder 'owner/tinny': is it mistyped?" in done.stderr


def test_an_unreachable_hub_is_one_line_that_says_what_to_do(
    find: Callable[..., subprocess.CompletedProcess],
) -> None:
    done = find("facebook/wav2vec2-base", NOWHERE)
    assert done.returncode == 12
    assert done.stderr.count("\n") == 1
    for part in ("no folder 'facebook/wav2vec2-base'", "/hub", NOWHERE, "--local-dir DIR"):
        assert part in done.stderr


def test_a_forbidden_hub_is_not_asked(
    find: Callable[..., subprocess.CompletedProcess], hub: tuple[str, list[str]]
) -> None:
    hub[1].clear()
    done = find("owner/tiny", hub[0], HF_HUB_OFFLINE="1")
    assert done.returncode == 12
    assert "HF_HUB_OFFLINE" in done.stderr
    assert not hub[1]


def test_an_unreachable_hub_is_asked_once(
    find: Callable[..., subprocess.CompletedProcess],
) -> None:
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_error(503)

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    asked: list[str] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        done = find("owner/tiny", f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()
    assert done.returncode == 12
    assert "HTTP 503" in done.stderr
    assert asked == ["/owner/tiny/resolve/main/config.json"]
