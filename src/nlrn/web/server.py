"""The page on this machine: one address, 127.0.0.1, and one folder for files, which is gone at the end."""

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.errors import UsageError, needs
from nlrn.inference.device import choose_device
from nlrn.models import load
from nlrn.web.work import Models

if TYPE_CHECKING:
    from starlette.types import ASGIApp

ADDRESS = "127.0.0.1"


def serve(*, port: int, models: Sequence[str] = (), device: str = "auto", browser: bool = True) -> None:
    """Run the page until Ctrl-C.

    Args:
        port: where to listen on 127.0.0.1; 0 takes any that is free.
        models: files or folders of further models to offer.
        device: "auto", "cpu", "cuda" or "mps".
        browser: whether to open the page.

    Raises:
        UsageError: Gradio is not installed, or the port is taken.
        ModelError: one of the models cannot be loaded.
        ValueError: the device is not there.
    """
    own = {Path(model).name: load(model).to(choose_device(device)) for model in models}
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
        except (OSError, OverflowError) as error:
            raise UsageError(f"port {port} cannot be used ({error}); choose another with --port") from None
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C, so that the folder goes
        folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="nlrn-web-")))
        try:
            app = application(folder, Models(own, device))
            import uvicorn

            listening.listen()
            address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
            print(f"nlrn is at {address} until Ctrl-C", flush=True)
            if browser:
                webbrowser.open(address)
            # a page that is open keeps a connection, which must not hold up the end
            config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
            with contextlib.suppress(KeyboardInterrupt):
                uvicorn.Server(config).run([listening])
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def application(folder: Path, models: Models) -> "ASGIApp":
    """The page as an ASGI application.

    Args:
        folder: an empty folder of its own, not reached through links; all files are kept there.
        models: what the page offers.

    Raises:
        UsageError: Gradio is not installed.
    """
    # read by Gradio when it is imported and when the page is built
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    with needs("web"):
        import gradio
    from fastapi import FastAPI

    from nlrn.web.guard import Guard
    from nlrn.web.page import build, look
    from nlrn.web.work import MAX_BYTES

    app = gradio.mount_gradio_app(
        # no pages that describe the routes: they load scripts from the net
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        build(models, folder),
        "/",
        server_name=ADDRESS,
        footer_links=[],
        run_history=False,
        max_file_size=MAX_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        **look(),
    )
    return Guard(app, folder)
