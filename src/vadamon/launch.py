"""Starting a command that is to be watched, as the person who asked for it."""

import os
import pwd
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from vadamon.address_space import procfs
from vadamon.errors import VadamonError

FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class Caller:
    """Who asked: the user who called sudo where there is one, else the user we are."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self.environment = dict(environment)
        self.user: pwd.struct_passwd | None = None
        if os.geteuid() != 0 or not environment.get("SUDO_UID", "").isdigit():
            return
        try:
            self.user = pwd.getpwuid(int(environment["SUDO_UID"]))
        except KeyError as error:
            raise VadamonError(f"user {environment['SUDO_UID']}, who called sudo, is not known here") from error
        self.environment = _environment_before_sudo() or _environment_of(self.user, environment)


def _environment_before_sudo() -> dict[str, str] | None:
    """Return what sudo was started with: it hands on only a part of that."""
    pid = os.getppid()
    while pid > 1:
        if procfs.name(pid) == "sudo":
            try:
                text = (Path("/proc") / str(pid) / "environ").read_bytes()
            except OSError:
                return None
            return dict(os.fsdecode(pair).split("=", 1) for pair in text.split(b"\0") if b"=" in pair)
        pid = procfs.parent(pid)
    return None


def _environment_of(user: pwd.struct_passwd, environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environment.items() if not name.startswith("SUDO_")}
    return kept | {"HOME": user.pw_dir, "SHELL": user.pw_shell, "USER": user.pw_name, "LOGNAME": user.pw_name}


def start(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """Start a command as the `Caller`; it runs the command itself when this returns (``execve`` is done).

    Raises VadamonError where it cannot be started.
    """
    caller = Caller()
    as_user: dict[str, object] = {}
    if caller.user is not None:
        groups = os.getgrouplist(caller.user.pw_name, caller.user.pw_gid)
        as_user = {"user": caller.user.pw_uid, "group": caller.user.pw_gid, "extra_groups": groups}
    try:
        return subprocess.Popen(list(command), env=caller.environment, **as_user)  # type: ignore[call-overload, no-any-return]
    except OSError as error:
        raise VadamonError(f"cannot start {command[0]}: {error.strerror}") from error


def exit_status(returncode: int) -> int:
    """Return the status a shell would give: that of the command, 128 + n where signal n ended it."""
    return 128 - returncode if returncode < 0 else returncode
