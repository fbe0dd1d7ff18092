"""The page on this machine: one address, 127.0.0.1, and one folder for files, which is gone at the end."""

import contextlib
import logging
import os
import signal
import socket
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nlrn.errors import UsageError, needs
from nlrn.web.uploads import private_folder

if TYPE_CHECKING:
    from types import FrameType

    from nlrn.network import NLRN
    from nlrn.web.work import Models

ADDRESS = "127.0.0.1"


def serve(*, port: int, models: Sequence[str] = (), device: str = "auto", browser: bool = True) -> None:
    """Run the page until Ctrl-C.

    Args:
        port: where to listen on 127.0.0.1; 0 takes any that is free.
        models: files or folders of further models to offer.
        device: "auto", "cpu", "cuda" or "mps".
        browser: whether to open the page.

    Raises:
        UsageError: what the extra ``web`` brings is not installed, or the port is taken.
        ModelError: one of the models cannot be loaded.
        ValueError: the device is not there.
    """
    with needs("web"):
        import uvicorn

        from nlrn.web.app import application
    from nlrn.web.offers import offers
    from nlrn.web.sessions import Studio

    own = _own(models, device)

    def make() -> "Models":
        from nlrn.web.work import Models

        return Models(own, device)

    with _listening(port) as listening, private_folder() as folder:
        studio = Studio(folder, make, offers(own))
        address = f"http://{ADDRESS}:{listening.getsockname()[1]}/"
        server = uvicorn.Server(
            uvicorn.Config(application(studio), log_level="warning", timeout_graceful_shutdown=1, server_header=False)
        )
        leave = server.handle_exit

        def stop(sig: int, frame: "FrameType | None") -> None:
            studio.stop()  # a page that is open keeps a connection, for which the server would wait
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what is cut short now was meant to be
            leave(sig, frame)

        server.handle_exit = stop  # type: ignore[method-assign]  # what uvicorn calls on Ctrl-C and SIGTERM
        # which uvicorn raises anew when it has ended: what is left to do here must not be cut short
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, stop)  # its terminal was closed
        with contextlib.suppress(BrokenPipeError):
            print(f"nlrn is at {address} until Ctrl-C", flush=True)
        if browser:
            webbrowser.open(address)
        try:
            with contextlib.suppress(KeyboardInterrupt):
                server.run([listening])
        finally:
            stopped = studio.close()
    if not stopped:
        # The interpreter cannot end while a thread is deep in PyTorch, and nobody waits for what it computes.
        sys.stdout.flush()
        os._exit(0)


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((ADDRESS, port))
        except (OSError, OverflowError) as error:
            raise UsageError(f"port {port} cannot be used ({error}); choose another with --port") from None
        listening.listen()
        yield listening


def _own(names: Sequence[str], device: str) -> "dict[str, NLRN]":
    """The networks of these files and folders; what is wrong with them, or with the device, is said at once."""
    if not names and device in ("auto", "cpu"):
        return {}  # without the seconds that torch needs to be loaded
    from nlrn.inference.device import choose_device
    from nlrn.models import load

    place = choose_device(device)
    return {Path(name).name: load(name).to(place) for name in names}
