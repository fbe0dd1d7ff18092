"""``nlrn web``: a page in the browser."""

import argparse
from typing import TYPE_CHECKING

from nlrn.cli.exits import DONE

if TYPE_CHECKING:
    from nlrn.cli.options import Commands


def add(commands: "Commands") -> None:
    web = commands.add_parser("web", help="restore pictures in the browser, on this machine alone")
    web.add_argument("--port", type=int, default=7860, help="0 takes any that is free; default %(default)s")
    web.add_argument("--model", nargs="+", default=[], help="files or folders of further models to offer")
    web.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    web.add_argument("--no-browser", action="store_true", help="print the address, open nothing")
    web.set_defaults(command=_web)


def _web(options: argparse.Namespace) -> int:
    from nlrn.web.server import serve

    serve(port=options.port, models=options.model, device=options.device, browser=not options.no_browser)
    return DONE
