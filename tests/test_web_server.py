"""What the page gives away: itself and what was uploaded or made, nothing else of the machine."""

import io
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image
from running_page import running_page

from nlrn.cli import main

if find_spec("gradio") is None:  # not imported here: the page does that, in a process of its own
    pytest.skip("the page needs gradio: install nlrn[web]", allow_module_level=True)

import httpx  # comes with gradio

FILE = "/gradio_api/file="


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_page() as address:
        answer = httpx.post(f"{address}/gradio_api/upload", files={"files": ("a.png", b"x")}, trust_env=False)
        folder = Path(answer.json()[0]).parents[1]
        assert folder.stat().st_mode & 0o077 == 0  # private while it runs
        yield address
    assert not folder.exists()  # and gone at the end


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    # no proxy of the environment: the page is here
    with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def uploaded(client: httpx.Client) -> Path:
    """A picture that was uploaded: where the page keeps it."""
    data = io.BytesIO()
    Image.fromarray(np.arange(1200, dtype=np.uint8).reshape(30, 40)).save(data, "PNG")
    answer = client.post("/gradio_api/upload", files={"files": ("ours.png", data.getvalue())})
    return Path(answer.json()[0])


def call(client: httpx.Client, function: int, data: list[Any]) -> str:
    """Everything that the page answers to a call, as the browser would make it."""
    body = {"data": data, "fn_index": function, "session_hash": os.urandom(6).hex(), "trigger_id": None}
    joined = client.post("/gradio_api/queue/join", json=body)
    if joined.status_code != 200:
        return joined.text
    said, last = "", time.monotonic() + 60
    query = {"session_hash": body["session_hash"]}
    with client.stream("GET", "/gradio_api/queue/data", params=query) as events:
        for line in events.iter_lines():
            said += line
            assert time.monotonic() < last, f"no end to: {said}"
            if '"process_completed"' in line or "close_stream" in line:
                break
    return said


def function(client: httpx.Client, name: str) -> int:
    dependencies = client.get("/config").json()["dependencies"]
    return next(d["id"] for d in dependencies if d["api_name"] == name)


def as_file(path: str | Path, **more: Any) -> dict[str, Any]:
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}, "orig_name": Path(path).name, **more}


def test_the_page_is_there_and_asks_nothing_of_the_net(client: httpx.Client) -> None:
    page = client.get("/")
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "http" not in policy
    config = client.get("/config").json()
    assert config["title"] == "nlrn"
    assert config["analytics_enabled"] is False
    assert not config.get("is_space")


def test_an_uploaded_file_can_be_had_again(client: httpx.Client, uploaded: Path) -> None:
    assert client.get(f"{FILE}{uploaded}").content == uploaded.read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "//etc/passwd",
        "file:///etc/passwd",
        "../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "{upload}/../../../../../../etc/passwd",
        "{folder}/../../etc/passwd",
        "%2Fetc%2Fpasswd",
        "/proc/self/environ",
        "{beside}",
        "{inside}",
        "{link}",
        "{folder}",
        "{root}",
        "http://127.0.0.1:1/",
        "https://example.org/",
    ],
)
def test_no_other_file_can_be_had(client: httpx.Client, uploaded: Path, path: str) -> None:
    """Nor one beside the upload, one above it or a link out of it, if something else put it there."""
    beside, inside, link = uploaded.with_name("other.png"), uploaded.parents[1] / "other.png", uploaded.with_name("l")
    beside.write_bytes(b"secret")
    inside.write_bytes(b"secret")
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    places = {"upload": uploaded, "beside": beside, "inside": inside, "link": link}
    path = path.format(**places, folder=uploaded.parent, root=uploaded.parents[1])
    for url in (f"{FILE}{path}", f"{FILE}{quote(path, safe='%')}", f"/gradio_api/file/{path}", f"/file={path}"):
        answer = client.get(url)
        assert answer.status_code == 404
        assert answer.text == "Not found"


@pytest.mark.parametrize(
    "route",
    [
        "/gradio_api/proxy=https://example.org/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/stream/a/b/c/playlist.m3u8",
        "/gradio_api/openapi.json",
        "/gradio_api/runs",
        "/gradio_api/deep_link?session_hash=a",
        "/gradio_api/dev/reload",
        "/custom_component/a/client/component/index.js",
        "/monitoring",
        "/docs",
        "/openapi.json",
        "/login",
        "/static/../../../../../../etc/passwd",
        "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2f..%2f..%2fetc/passwd",
    ],
)
def test_routes_that_the_page_does_not_need_are_closed(client: httpx.Client, route: str) -> None:
    answer = client.get(route)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text


def test_only_this_machine_is_answered(client: httpx.Client, address: str) -> None:
    """Neither another address of it, nor a page of the net whose name was pointed at it."""
    assert client.get("/", headers={"host": "evil.example:7860"}).status_code == 404
    assert client.get("/", headers={"host": "127.0.0.1.evil.example:80"}).status_code == 404
    port = int(address.rpartition(":")[2])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; tells this machine's own address
        except OSError:
            pytest.skip("no network to have another address in")
        other = probe.getsockname()[0]
    with socket.socket() as knock:
        knock.settimeout(2)
        assert knock.connect_ex((other, port)) != 0


def test_calls_cannot_name_files_of_the_machine(client: httpx.Client, uploaded: Path) -> None:
    beside = uploaded.with_name("beside.png")
    Image.new("L", (4, 4)).save(beside)
    opening = function(client, "open")
    good = call(client, opening, [as_file(uploaded), "denoise"])
    assert "40 x 30 pixels, 8-bit gray, PNG" in good
    assert "was not uploaded" in call(client, opening, [as_file(beside), "denoise"])
    for path in ("/etc/passwd", "/etc/../etc/passwd", f"{uploaded}/../../../../etc/passwd", "/proc/self/environ"):
        for more in ({}, {"url": f"file://{path}"}):
            said = call(client, opening, [as_file(path, **more), "denoise"])
            assert "process_completed" in said or "error" in said.lower()
            assert "root:" not in said
            assert "pixels" not in said


def test_calls_cannot_name_other_models(client: httpx.Client) -> None:
    from nlrn.models.cards import SHIPPED

    for name in (str(SHIPPED / "sr-lite"), "/etc", "sr-lite"):
        said = call(client, function(client, "restore"), [None, "denoise", name, True, 5, 2, False])
        assert '"success":false' in said
        assert "is not in the list of choices" in said


def test_too_large_a_file_is_refused(client: httpx.Client, tmp_path: Path) -> None:
    with open(tmp_path / "large.png", "wb") as file:
        file.truncate(201 * 2**20)
    with open(tmp_path / "large.png", "rb") as file:
        answer = client.post("/gradio_api/upload", files={"files": ("large.png", file)})
    assert answer.status_code == 413


def test_what_keeps_it_from_starting_is_one_sentence(capsys, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["web", "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err
    assert main(["web", "--no-browser", "--model", "no-such"]) == 2
    assert "no such model" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["web", "--no-browser", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error == "nlrn: this needs gradio; install nlrn[web]\n"


def test_other_commands_do_not_load_gradio() -> None:
    code = "import sys, json, nlrn.cli, nlrn.web.work, nlrn.web.server; print(json.dumps([*sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"gradio", "fastapi", "uvicorn", "pandas"}.intersection(json.loads(done.stdout))
