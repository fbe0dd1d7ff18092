"""The page of the command line: every command with its options, from the parsers themselves."""

import argparse


def commands_page(parser: argparse.ArgumentParser) -> str:
    """Every command with its options, as Markdown, from the parsers themselves."""
    return "\n".join(_command(parser, 1))


def _command(parser: argparse.ArgumentParser, level: int, help_text: str | None = None) -> list[str]:
    children = next((a for a in parser._actions if isinstance(a, argparse._SubParsersAction)), None)
    lines = []
    if level > 1:
        lines = [f"{'#' * min(level, 4)} {parser.prog}", ""]
        lines += [help_text[0].upper() + help_text[1:] + ".", ""] if help_text else []
    options = [a for a in parser._actions if not isinstance(a, (argparse._SubParsersAction, argparse._HelpAction))]
    if level > 1 and (options or not children):
        lines += ["```text", parser.format_usage().strip(), "```", ""]
    if options and level > 1:
        lines += ["| option | |", "|---|---|", *(f"| {_name(a)} | {_cell(_said(a))} |" for a in options), ""]
    if children:
        helps = {choice.dest: choice.help for choice in children._choices_actions}
        for name, child in children.choices.items():
            lines += _command(child, level + 1, helps.get(name))
    return lines


def _name(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings) or f"`{action.metavar or action.dest}`"
    if action.choices:
        return f"{names} {_cell(' or '.join(f'`{c}`' for c in action.choices))}"
    takes_value = action.option_strings and action.nargs != 0 and action.metavar
    return f"{names} `{action.metavar}`" if takes_value else names


def _said(action: argparse.Action) -> str:
    said = (action.help or "").replace("%%", "%").replace("%(default)s", str(action.default))
    if "efault" not in said and action.default not in (None, False, argparse.SUPPRESS):
        default = " ".join(map(str, action.default)) if isinstance(action.default, list) else action.default
        said = f"{said}{'; ' if said else ''}default {default}"
    return said


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<")
