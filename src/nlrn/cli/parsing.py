"""argparse with one sentence for what is wrong, and a guess at what was meant."""

import argparse
from typing import Any, NoReturn

from nlrn.cli.exits import WRONG_USE
from nlrn.cli.saying import printable
from nlrn.errors import did_you_mean


class Parser(argparse.ArgumentParser):
    """Says what was probably meant where a command, a choice or an option does not exist."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("action", "parsers", _Parts)

    def error(self, message: str) -> NoReturn:
        """End with one sentence."""
        self.exit(WRONG_USE, f"{self.prog}: {printable(message)} (see {self.prog} --help)\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; an option that is not known is told where it was given."""
        parsed, unknown = super().parse_known_args(args, namespace)
        for one in unknown:
            if one.startswith("-") and one != "-":
                option = one.split("=")[0]
                self.error(f"there is no option {option}{did_you_mean(option, self._option_string_actions)}")
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            guess = did_you_mean(str(value), known) or f", only {', '.join(known)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}{guess}")


class _Parts(argparse._SubParsersAction):  # type: ignore[type-arg]  # at run time it takes none
    """The parts of a command. What is said before the name of a part holds for it, unless it is said again."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        said = {name: value for name, value in vars(namespace).items() if value != parser.get_default(name)}
        super().__call__(parser, namespace, values, option)
        part = self._name_parser_map[values[0]]
        for name, value in said.items():
            if getattr(namespace, name) == part.get_default(name):
                setattr(namespace, name, value)
