"""The command `rot180`: its verbs, loaded only when called, and what becomes of errors."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import click

from rot180._version import __version__
from rot180.errors import Rot180Error

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

# verb: (module, function, help), so that help and a wrong verb cost no import of NumPy
_VERBS = {
    "train": ("train", "train", "Train a network on images and leave a run folder."),
    "eval": ("use", "evaluate", "Measure the model of a run on its test images."),
    "predict": ("use", "predict", "Say what the model of a run sees in pictures."),
    "summary": ("use", "summarise", "Show a model's layers, parameters and receptive field."),
    "explain": ("explain", "explain", "Explain every gradient of an operation or a network."),
    "check": ("check", "check", "Hold a gradient against differences, cell by cell."),
    "diagnose": ("check", "diagnose", "Name the mistake in a backward pass."),
    "identify": ("check", "identify", "Find the convention behind arrays."),
    "shape": ("shape", "shape", "Compute sizes, remainder and adjoint windows of layers."),
    "data": ("data", "data", "List data sets, or fetch one."),
    "bench": ("bench", "bench", "Measure a compiled training step, and show why it takes so long."),
    "cache": ("bench", "cache", "Show or clear the machine code that is kept on disk."),
    "doctor": ("doctor", "doctor", "Show versions, processor, and what is installed."),
}


class _Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module, function, _ = _VERBS[cmd_name]
        found: click.Command = getattr(importlib.import_module(f"rot180.cli.{module}"), function)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, _, text) in _VERBS.items()])


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        import numpy as np

        python = ".".join(str(part) for part in sys.version_info[:3])
        click.echo(f"rot180 {__version__} (Python {python}, NumPy {np.__version__})")
        ctx.exit()


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the versions of rot180, Python and NumPy.",
)
def rot180() -> None:
    """Convolutional networks whose every gradient you can read, check and trust.

    Begin with: rot180 train digits
    """


def main(arguments: Sequence[str] | None = None) -> Any:
    """Run the command line and leave the process with its exit code.

    Args:
        arguments: what follows the program's name; None: of this process.
    """
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = rot180.main(
            args=None if arguments is None else list(arguments),
            prog_name="rot180",
            standalone_mode=False,
        )
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        return _complain(_click_line(error))
    except Rot180Error as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"{error.strerror or error}: {error.filename}")
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 130
    return code if isinstance(code, int) else 0


def _complain(line: str) -> int:
    click.echo(f"error: {' '.join(line.split())}", err=True)
    return 2


def _click_line(error: click.ClickException) -> str:
    line = error.format_message()
    context = getattr(error, "ctx", None)
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return f"{context.command_path if context else 'rot180'} needs arguments: try --help"
    return f"{line} ({context.command_path} --help)" if context else line
