"""``nlrn completion``: what the shell needs to complete commands, options, models and file names."""

import argparse
from typing import TYPE_CHECKING, Any

from nlrn.cli.exits import DONE
from nlrn.cli.options import name, path
from nlrn.models.cards import list_models

if TYPE_CHECKING:
    from nlrn.cli.options import Commands

_SHELLS = ("bash", "zsh")
_ABOUT = """Print what a shell needs to complete commands, options, models and file names. For bash:
nlrn completion bash > ~/.local/share/bash-completion/completions/nlrn; for zsh: nlrn completion zsh > DIR/_nlrn, with
DIR in fpath."""


def add(commands: "Commands") -> None:
    completion = commands.add_parser("completion", help="complete commands in the shell", description=_ABOUT)
    completion.add_argument("shell", choices=_SHELLS)
    completion.set_defaults(command=_completion)


def _completion(options: argparse.Namespace) -> int:
    import shtab

    from nlrn.cli import make_parser

    top = make_parser()
    _mark(top)
    models = " ".join(list_models())
    preamble: Any = {  # shtab annotates it as text
        "bash": f'_nlrn_models() {{ compgen -W "{models}" -- "$1"; compgen -f -- "$1"; }}',
        "zsh": f"_nlrn_models() {{ compadd {models}; _files; }}",
    }
    print(shtab.complete(top, shell=options.shell, preamble=preamble))
    return DONE


def _mark(parser: argparse.ArgumentParser) -> None:
    """Say of every argument that names files or models that it does, as shtab wants to be told."""
    import shtab

    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                _mark(child)
        elif action.dest in ("model", "models"):
            action.complete = {"bash": "_nlrn_models", "zsh": "_nlrn_models"}  # type: ignore[attr-defined]  # shtab's
        elif action.type in (name, path):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
