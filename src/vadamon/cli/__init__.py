"""The command line: one module a command."""

import importlib
import os
import sys
import warnings
from typing import Any, NoReturn

import click

from vadamon.errors import VadamonError, VadamonWarning

# A command is one line here, and a click command in its module, of the same name. Modules are loaded when they are run.
COMMANDS = {
    "record": ("vadamon.cli.record", "Watch processes, or a command, and keep what is seen."),
    "wss": ("vadamon.cli.wss", "Tell how much memory a process touches within a time, now."),
    "doctor": ("vadamon.cli.doctor", "Tell which backends work here, and why others do not."),
    "demo": ("vadamon.cli.demo", "Watch a workload of known heat, and show what is found."),
    "report": ("vadamon.cli.report", "Show what was hot and cold in a recording."),
    "export": ("vadamon.cli.export", "Write a recording for damo, perf script, or as a table."),
    "simulate": ("vadamon.cli.simulate", "Watch a simulated program: a workload, or a memory trace."),
    "accuracy": ("vadamon.cli.accuracy", "Compare a recording with the truth."),
    "import": ("vadamon.cli.import_", "Make a recording of what damo or perf script has."),
}


class _LazyGroup(click.Group):
    """Commands that are loaded when they are run, so that ``--help`` waits for none."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command = getattr(module, cmd_name if cmd_name != "import" else "import_")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, short_help) for name, (_, short_help) in COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="vadamon", message="vadamon %(version)s")
def cli() -> None:
    """Tell which memory of a running process is hot, cold or dead."""


def main() -> NoReturn:
    """Run the command line. Exits with 0, 1 for a failure, 2 for wrong usage, 130 after Ctrl-C."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    warnings.simplefilter("always", VadamonWarning)
    warnings.showwarning = _show_warning
    sys.exit(_run())


def _run() -> int:
    status = _status()
    try:
        sys.stdout.flush()
    except OSError:
        # Nobody takes it. Python flushes once more at exit: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status or 1
    return status


def _status() -> int:
    try:
        status = cli.main(prog_name="vadamon", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except VadamonError as error:
        _say(str(error))
        return 1
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "vadamon"
        _say(f"{error.format_message().rstrip('.')}; see {command} --help")
        return error.exit_code
    except click.ClickException as error:
        _say(error.format_message())
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        return 1
    except OSError as error:
        _say(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror))
        return 1


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    if issubclass(category, VadamonWarning):
        _say(str(message))


def _say(text: str) -> None:
    print(f"vadamon: {text}", file=sys.stderr)
