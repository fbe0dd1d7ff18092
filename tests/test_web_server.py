"""Who is answered by the page and what: its own requests, whatever stands in them, and nobody else's."""

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_page import ORDER, page_process, running_page, until

from nlrn.cli import main

if any(find_spec(name) is None for name in ("starlette", "uvicorn", "httpx")):
    pytest.skip("the page needs starlette and uvicorn: install nlrn[web]", allow_module_level=True)

import httpx


class Client:
    """An open page, without a browser."""

    def __init__(self, address: str) -> None:
        # no proxy of the environment: the page is here
        self.http = httpx.Client(base_url=address, timeout=120, trust_env=False, headers={"Origin": address})
        answer = self.http.post("/api/pages")
        assert answer.status_code == 201, answer.text
        self.base = f"/api/pages/{answer.json()['token']}"
        self._connected = threading.Event()
        self._listening = threading.Thread(target=self._listen)
        self._listening.start()
        assert self._connected.wait(20)

    def _listen(self) -> None:
        with self.http.stream("GET", f"{self.base}/events") as events:
            for _ in events.iter_lines():
                self._connected.set()

    def leave(self) -> None:
        """As a browser says when a page is closed; the server ends the stream of events then."""
        self.post("/end", None)
        self.close()

    def close(self) -> None:
        self._listening.join(20)
        self.http.close()

    def post(self, path: str, value: Any, **more: Any) -> httpx.Response:
        return self.http.post(self.base + path, content=json.dumps(value), **more)

    def upload(self, data: bytes, name: str = "a.png") -> str:
        answer = self.http.post(f"{self.base}/pictures", params={"name": name}, content=data)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def picture(self, one: str) -> dict[str, Any]:
        return next(each for each in self.http.get(self.base).json()["pictures"] if each["id"] == one)

    def ready(self, one: str) -> dict[str, Any]:
        return until(lambda: (said := self.picture(one))["state"] != "opening" and said)

    def restore(self, *ones: str, **order: Any) -> None:
        answer = self.post("/restore", {"pictures": ones, "order": {**ORDER, **order}})
        assert answer.status_code == 202, answer.text

    def done(self, one: str) -> dict[str, Any]:
        return until(lambda: (said := self.picture(one))["result"] and not said["work"] and said)["result"]


def png(height: int = 40, width: int = 30, mode: str = "L", **more: Any) -> bytes:
    rng = np.random.default_rng(0)
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    file = io.BytesIO()
    pixels = (128 + 12 * rng.standard_normal(shape)).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(file, more.pop("format", "PNG"), **more)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with running_page(folder=folder) as address:
        yield address
    assert not list(folder.iterdir())  # nothing is left at the end


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    client = Client(address)
    yield client
    client.leave()


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


def test_the_page_is_there_and_asks_nothing_of_the_net(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as http:
        page = http.get("/")
        assert page.status_code == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        parts = [page.text]
        for name in ("style.css", "main.js", "viewer.js", "api.js"):
            answer = http.get(f"/static/{name}")
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            parts.append(answer.text)
        assert not any(f"{kind}://" in part for part in parts for kind in ("http", "https", "ws"))
        assert {model["task"] for model in http.get("/api/about").json()["models"]} == {"denoise", "sr"}


STRANGERS = [
    {"Host": "evil.example"},
    {"Host": "evil.example:7860"},
    {"Host": "127.0.0.1.evil.example:80"},
    {"Host": "127.0.0.1:80:80"},
    {"Host": ""},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost"},
    {"Origin": "https://{host}"},
    {"Origin": "http://{host}.evil.example"},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "http://{host}", "Sec-Fetch-Site": "same-site"},
]


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
def test_a_stranger_changes_and_reads_nothing(
    client: Client, address: str, folder: Path, headers: dict[str, str]
) -> None:
    """Other sites, other names of this machine, other ports of it."""
    host = address.removeprefix("http://")
    headers = {name: value.format(host=host) for name, value in headers.items()}
    one = client.upload(png())
    client.ready(one)
    before = files_of(folder)
    with httpx.Client(base_url=address, trust_env=False) as http:
        changing = [
            ("POST", "/api/pages"),
            ("POST", f"{client.base}/pictures?name=evil.png"),
            ("POST", f"{client.base}/restore"),
            ("POST", f"{client.base}/end"),
            ("DELETE", f"{client.base}/pictures/{one}"),
            ("PUT", "/"),
            ("OPTIONS", "/api/pages"),
        ]
        for method, path in changing:
            answer = http.request(method, path, headers=headers, content=b"x")
            assert answer.status_code in (400, 403), (method, path)
            assert "access-control-allow-origin" not in answer.headers
        for path in ("/api/about", client.base, f"{client.base}/pictures/{one}/view"):
            assert http.get(path, headers=headers).status_code in (400, 403)
    assert files_of(folder) == before
    assert client.picture(one)["state"] == "ready"


def test_a_request_that_changes_something_must_say_where_it_comes_from(address: str) -> None:
    with httpx.Client(base_url=address, trust_env=False) as http:
        assert http.post("/api/pages").status_code == 403
        assert http.get("/").status_code == 200  # an address that was typed
        from_a_link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert http.get("/", headers=from_a_link).status_code == 200
        port = address.rpartition(":")[2]
        local = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
        assert http.post("/api/pages", headers=local).status_code == 201


def test_only_this_machine_is_answered(address: str) -> None:
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


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e/server.py",
        "/static//etc/passwd",
        "/static/..%5cserver.py",
        "/etc/passwd",
        "/docs",
        "/openapi.json",
        "/api/pages/x",
        "/api/pages/../../etc/passwd",
        "{base}/pictures/../../../lock",
        "{base}/pictures/%2e%2e/view",
        "{base}/pictures/none/view",
        "{base}/pictures/none/result?format=../../a",
    ],
)
def test_no_path_leads_out(client: Client, path: str) -> None:
    answer = client.http.get(path.format(base=client.base))
    assert answer.status_code in (404, 405, 410)
    assert "root:" not in answer.text
    assert "import" not in answer.text
    assert set(answer.json()) == {"error"}


def test_a_picture_is_restored_and_downloaded(client: Client) -> None:
    one = client.upload(png(mode="RGB"), "Käse 1.png")
    said = client.ready(one)
    assert said["name"] == "Käse 1.png"
    assert said["pages"][0]["width"] == 30
    assert "noise (level 1" in said["pages"][0]["found"]
    client.restore(one)
    result = client.done(one)
    assert result["names"]["tiff"] == "Käse 1-denoised.tif"
    assert result["order"]["sigma"] == 10
    for wanted, kind in (("same", "PNG"), ("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("tiff", "TIFF")):
        answer = client.http.get(f"{client.base}/pictures/{one}/result", params={"format": wanted, "quality": 80})
        assert answer.status_code == 200
        assert "attachment" in answer.headers["content-disposition"]
        with Image.open(io.BytesIO(answer.content)) as image:
            assert (image.format, image.size) == (kind, (30, 40))
    answer = client.http.get(f"{client.base}/pictures/{one}/view", params={"of": "result"})
    assert Image.open(io.BytesIO(answer.content)).size == (30, 40)


def test_all_results_come_in_one_file(client: Client) -> None:
    assert client.http.get(f"{client.base}/results.zip").status_code == 404
    ones = [client.upload(png(seed), f"{name}.png") for seed, name in ((40, "a"), (41, "b"), (42, "a"))]
    for one in ones:
        client.ready(one)
    client.restore(*ones)
    for one in ones:
        client.done(one)
    data = client.http.get(f"{client.base}/results.zip", params={"format": "jpeg"}).content
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a-denoised.jpg", "b-denoised.jpg", "a-denoised (2).jpg"]


def test_the_pages_of_a_tiff_are_all_there(client: Client) -> None:
    more = [Image.new("L", (25, 26), 90), Image.new("L", (27, 28), 10)]
    one = client.upload(png(format="TIFF", save_all=True, append_images=more), "stack.tif")
    assert [(page["width"], page["height"]) for page in client.ready(one)["pages"]] == [(30, 40), (25, 26), (27, 28)]
    client.restore(one)
    client.done(one)
    answer = client.http.get(f"{client.base}/pictures/{one}/result")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert getattr(image, "n_frames", 1) == 3
    view = client.http.get(f"{client.base}/pictures/{one}/view", params={"page": 2})
    assert Image.open(io.BytesIO(view.content)).size == (27, 28)


def test_a_piece_and_what_is_looked_at_are_pictures(client: Client) -> None:
    one = client.upload(png(mode="RGB"))
    client.ready(one)
    box = {"left": 4, "top": 6, "width": 16, "height": 12}
    answer = client.post(f"/pictures/{one}/piece", {**box, "order": {"task": "sr", "scale": 3}})
    assert Image.open(io.BytesIO(answer.content)).size == (48, 36)
    answer = client.post(f"/pictures/{one}/looks", {"x": 3, "y": 5, "order": ORDER})
    assert answer.headers["content-type"] == "image/png"
    assert client.post(f"/pictures/{one}/looks", {"x": 30, "y": 5, "order": ORDER}).status_code == 422


def test_a_refused_file_says_why_and_harms_no_other(client: Client) -> None:
    broken = client.upload(b"\x89PNG\r\n\x1a\n" + bytes(20), "broken.png")
    text = client.upload(b"root:x:0:0", "passwd")
    huge = io.BytesIO()
    Image.new("1", (30000, 30000)).save(huge, "PNG")
    large = client.upload(huge.getvalue(), "large.png")
    good = client.upload(png())
    assert client.ready(good)["state"] == "ready"
    for one, said in ((broken, "broken.png"), (text, "not an image"), (large, "megapixels")):
        refused = client.ready(one)
        assert refused["state"] == "refused"
        assert said in refused["error"]
        assert "/" not in refused["error"].replace("and/or", "")
        assert client.post("/restore", {"pictures": [one], "order": ORDER}).status_code == 409
        assert client.http.get(f"{client.base}/pictures/{one}/view").status_code == 409


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(client: Client, address: str) -> None:
    """Without having read it: the answer comes while the file is still to come."""
    host = address.removeprefix("http://")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=20) as raw:
        head = f"POST {client.base}/pictures?name=a.png HTTP/1.1\r\nHost: {host}\r\nOrigin: {address}\r\n"
        raw.sendall(f"{head}Content-Length: {3 << 30}\r\n\r\n".encode())
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert not client.http.get(client.base).json()["pictures"]


def test_an_upload_that_breaks_off_leaves_nothing(client: Client, address: str, folder: Path) -> None:
    host = address.removeprefix("http://")
    name, _, port = host.partition(":")
    before = set(folder.rglob("*"))
    with socket.create_connection((name, int(port)), timeout=20) as raw:
        head = f"POST {client.base}/pictures?name=a.png HTTP/1.1\r\nHost: {host}\r\nOrigin: {address}\r\n"
        raw.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 100_000)
        until(lambda: set(folder.rglob("*")) - before)
    until(lambda: not set(folder.rglob("*")) - before)
    assert not client.http.get(client.base).json()["pictures"]


def test_a_page_that_is_closed_leaves_no_file(address: str, folder: Path) -> None:
    before = files_of(folder)
    client = Client(address)
    client.ready(client.upload(png()))
    assert len(files_of(folder)) > len(before)
    client.leave()
    assert files_of(folder) == before
    with httpx.Client(base_url=address, trust_env=False) as http:
        assert http.get(client.base).status_code == 410


def test_a_picture_that_is_taken_away_leaves_no_file(client: Client, folder: Path) -> None:
    before = set(folder.rglob("*"))
    one = client.upload(png())
    client.ready(one)
    assert client.http.delete(f"{client.base}/pictures/{one}").status_code == 204
    assert set(folder.rglob("*")) == before
    assert client.http.delete(f"{client.base}/pictures/{one}").status_code == 404


LARGE = {"task": "denoise", "sigma": 10.0, "ensemble": True, "model": "denoise-gray"}


def test_cancelled_work_ends_and_what_was_there_stays(client: Client) -> None:
    one = client.upload(png(400, 400))
    client.ready(one)
    client.restore(one, **LARGE)
    until(lambda: (client.picture(one)["work"] or {}).get("state") == "working")
    assert client.post("/cancel", {"pictures": [one]}).status_code == 204
    said = client.picture(one)
    assert said["work"] is None
    assert said["failed"] is None
    small = client.upload(png(30, 30), "small.png")
    client.ready(small)
    client.restore(small)
    client.done(small)  # the queue is free
    assert client.picture(one)["result"] is None


def test_a_small_picture_does_not_wait_for_a_large_one(address: str) -> None:
    """Neither on its own page nor behind the work of another."""
    first, second = Client(address), Client(address)
    large = first.upload(png(400, 400))
    first.ready(large)
    first.restore(large, **LARGE)
    until(lambda: (first.picture(large)["work"] or {}).get("state") == "working")
    small = second.upload(png(30, 30))
    second.ready(small)
    second.restore(small)
    second.done(small)
    assert first.picture(large)["work"]["state"] == "working"
    first.leave()
    second.leave()


def test_work_ends_when_its_page_is_closed(address: str) -> None:
    first, second = Client(address), Client(address)
    large, other = first.upload(png(400, 400)), second.upload(png(380, 380))
    first.ready(large)
    second.ready(other)
    first.restore(large, **LARGE)
    until(lambda: (first.picture(large)["work"] or {}).get("state") == "working")
    second.restore(other, **LARGE)
    assert second.picture(other)["work"]["state"] == "waiting"
    first.leave()
    until(lambda: (second.picture(other)["work"] or {}).get("state") == "working")
    second.leave()


def test_a_request_for_a_piece_ends_with_whoever_asked(client: Client) -> None:
    one = client.upload(png(400, 400))
    client.ready(one)
    box = {"left": 0, "top": 0, "width": 400, "height": 400}
    with pytest.raises(httpx.ReadTimeout):
        client.post(f"/pictures/{one}/piece", {**box, "order": LARGE}, timeout=1)
    started = time.monotonic()
    box = {"left": 0, "top": 0, "width": 16, "height": 16}
    assert client.post(f"/pictures/{one}/piece", {**box, "order": ORDER}).status_code == 200
    assert time.monotonic() - started < 60  # it would take many minutes


def test_nothing_that_is_sent_is_an_error_of_the_server(client: Client) -> None:
    """Whatever stands in a request, the answer is a sentence; seeded, so that each run sends the same."""
    one = client.upload(png())
    client.ready(one)
    rng = random.Random(0)
    odd = [
        None,
        True,
        -1,
        0,
        1,
        7,
        1e9,
        10**30,
        "",
        "x",
        "\ud800",
        [],
        [[]],
        {},
        {"a": 1},
        float("nan"),
        "../..",
        [one],
    ]
    fields = ("left", "top", "width", "height", "page", "x", "y", "pictures", "order", "longest", "of", "format")
    order = ("task", "model", "sigma", "strength", "scale", "ensemble")
    paths = ["/restore", "/cancel", f"/pictures/{one}/piece", f"/pictures/{one}/looks", "/pictures/none/piece"]
    for _ in range(300):
        value: Any = {name: rng.choice(odd) for name in rng.sample(fields, rng.randint(0, len(fields)))}
        if rng.random() < 0.7:
            value["order"] = {**ORDER, **{name: rng.choice(odd) for name in rng.sample(order, rng.randint(0, 3))}}
        if rng.random() < 0.2:
            value = rng.choice(odd)
        answer = client.post(rng.choice(paths), value)
        assert answer.status_code < 500, (value, answer.text)
        query = {name: str(rng.choice(odd)).encode("utf-8", "replace").decode() for name in rng.sample(fields, 4)}
        for path in ("/view", "/result"):
            answer = client.http.get(f"{client.base}/pictures/{one}{path}", params=query)
            assert answer.status_code < 500, (query, answer.text)
    for body in (b"", b"{", b"\xff\xfe", b"[" * 60_000, b'{"a":' * 10_000, b"9" * 5000, b"x" * 70_000):
        answer = client.http.post(f"{client.base}/restore", content=body)
        assert answer.status_code in (400, 413)
        assert answer.json()["error"]


def test_a_page_without_a_picture_ends_at_once(address: str) -> None:
    client = Client(address)
    time.sleep(0.5)  # it has been told all there is, and waits
    started = time.monotonic()
    client.leave()
    assert time.monotonic() - started < 5


def test_a_request_that_is_no_request_breaks_nothing(client: Client, address: str) -> None:
    name, _, port = address.removeprefix("http://").partition(":")
    for bad in (
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/pages/%ff%fe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ):
        with socket.create_connection((name, int(port)), timeout=20) as raw:
            raw.sendall(bad)
            raw.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := raw.recv(65536):
                answer += piece
            assert b" 500 " not in answer[:20]
    assert client.http.get(client.base).status_code == 200


def test_what_keeps_it_from_starting_is_one_sentence(capsys, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["web", "--no-browser", "--port", str(taken.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err
    assert main(["web", "--no-browser", "--model", "no-such"]) == 2
    assert "no such model" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["web", "--no-browser", "--port", "0"]) == 2
    assert capsys.readouterr().err.endswith("install nlrn[web]\n")


def test_the_page_is_shown_before_torch_is_loaded() -> None:
    code = "import sys, nlrn.cli.serving, nlrn.web.server, nlrn.web.app, nlrn.web.offers; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "cv2", "PIL"}.intersection(done.stdout.split())


def test_it_ends_at_once_with_work_under_way_and_a_page_open(tmp_path: Path) -> None:
    with page_process(folder=tmp_path) as (page, address):
        client = Client(address)
        one = client.upload(png(400, 400))
        client.ready(one)
        client.restore(one, **LARGE)
        until(lambda: (client.picture(one)["work"] or {}).get("state") == "working")
        page.send_signal(signal.SIGINT)
        said = page.communicate(timeout=20)[1]
        assert page.returncode == 0
        assert said == ""
        client.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="a terminal of POSIX")
def test_a_closed_output_does_not_end_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nlrn", "web", "--port", "0", "--no-browser"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as page:
        assert page.stdout is not None
        assert page.stderr is not None
        address = page.stdout.readline().split()[3].rstrip("/")
        page.stdout.close()
        page.stderr.close()
        client = Client(address)
        client.ready(client.upload(b"no picture", "a.png"))
        client.leave()
        page.send_signal(signal.SIGTERM)
        assert page.wait(20) == 0
