"""PostgreSQL for the stack without containers; in containers it is an image's.

PostgreSQL refuses to run as root: then it runs as the user `pgserver`, as that of the tests does. The server listens on
loopback only, and takes the place of this process.
"""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

USER = "pgserver"


def main() -> None:
    """Make the data directory if it is new, and become the server."""
    data, port = Path(os.environ["PGDATA"]), os.environ["BIND_PORT"]
    password = Path(os.environ["POSTGRES_PASSWORD_FILE"]).read_text()
    programs = Path(os.environ["POSTGRES_BIN"])
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        _must_be_open(data)
        _must_be_open(programs / "postgres")
        _become(_user(), data)
    os.chdir(data)  # a directory that the user may enter
    if not (data / "PG_VERSION").exists():
        _initialise(programs, data, password)
    # No socket in the file system: the length of its path is limited to about 100 characters.
    server = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", port, "-k", ""]
    os.execv(server[0], server)


def _must_be_open(path: Path) -> None:
    """Stop unless another user may enter all parents: opening them is not for us to decide."""
    for parent in path.parents:
        if not parent.stat().st_mode & 0o001:
            sys.exit(
                f"postgres: as root, PostgreSQL runs as the user {USER}, who may not enter {parent}. Run the stack as "
                f"another user, allow it (chmod o+x {parent}), or choose another place for the data (make stack "
                "STACK=/var/lib/case-monitor-stack)."
            )


def _user() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--shell", "/bin/bash", USER], check=True)
        return pwd.getpwnam(USER)


def _become(user: pwd.struct_passwd, data: Path) -> None:
    """From here on nothing can be imported: Python itself may lie where this user may not look."""
    os.chown(data, user.pw_uid, user.pw_gid)
    os.initgroups(USER, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.environ["HOME"] = str(data)
    if sys.platform == "linux":
        # The stack asked the kernel to end its processes with it; a change of user makes the kernel forget.
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGINT, 0, 0, 0)


def _initialise(programs: Path, data: Path, password: str) -> None:
    with tempfile.NamedTemporaryFile("w") as file:  # only this user may read it
        file.write(password)
        file.flush()
        options = ["--username", "postgres", "--pwfile", file.name, "--auth", "scram-sha-256", "--encoding", "UTF8"]
        command = [str(programs / "initdb"), "--pgdata", str(data), "--no-locale", "--no-instructions", *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
