"""The command ``disentmetrics`` and a Python interpreter without start-up time, as forks of one process.

Pages run dozens of commands and blocks of Python, each of which would spend seconds on imports. The programs in the
folder that :func:`preloaded` returns hand arguments, working directory, environment and standard streams to a server
that has imported everything, and end with the exit code of a fork of it.
"""

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
import traceback
import warnings
from pathlib import Path
from typing import NoReturn

_IMPORTED = (
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.svm",
    "matplotlib.pyplot",
    "torch",
    "torchmetrics",
    "skops.io",
    "disentmetrics.cli",
)
"""Imported by the server, where they are installed."""

_CLIENT = """
    import json, os, socket, sys
    with socket.socket(socket.AF_UNIX) as server:
        server.connect({address!r})
        request = json.dumps([{program!r}, sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request)
        code = server.recv(1)
    sys.exit(code[0] if code else "the server of commands has exited")
"""


def _run_command() -> None:
    from disentmetrics.cli import main

    main()


def _answer_blocks() -> None:
    """Run each block of Python that standard input has as a line of JSON, and print its output as one."""
    import io

    answers, space = sys.stdout, {"__name__": "__main__"}
    for line in sys.stdin:
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(json.loads(line), "<block>", "exec"), space)
        print(json.dumps(output.getvalue()), file=answers, flush=True)


_PROGRAMS = {"disentmetrics": _run_command, "answer-blocks": _answer_blocks}


def _serve(address: str) -> None:
    """Import everything, then serve each connection by a fork that runs one program."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in _IMPORTED:
            with contextlib.suppress(ImportError):
                importlib.import_module(module)
    gc.freeze()  # forks share the memory of what is imported here
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if not os.fork():
                listener.close()
                _answer(connection)
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(connection: socket.socket) -> NoReturn:
    """Run the requested program in a fork with the streams of the client, and return its exit code to the client."""
    head, streams, _, _ = socket.recv_fds(connection, 8, 3)
    length, request = int.from_bytes(head, "big"), b""
    while len(request) < length:
        request += connection.recv(length - len(request))
    child = os.fork()
    if not child:
        connection.close()
        _run(streams, *json.loads(request))
    for stream in streams:  # the program alone holds them
        os.close(stream)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    connection.sendall(bytes([status % 256]))
    os._exit(0)


def _run(streams: list[int], program: str, arguments: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # New objects: those of the server were opened on streams of another kind.
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [program, *arguments]
    code = 0
    try:
        _PROGRAMS[program]()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - reported as Python would
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to free all that the server has imported would take longer than most programs


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a page's commands: files of the page are importable, the machine is invisible."""
    hidden = {"GITHUB_ACTIONS", "CI", "PYTHONWARNINGS", "COLUMNS", "FORCE_COLOR"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**kept, "PATH": search, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error", "NO_COLOR": "1"}


@functools.cache
def preloaded() -> Path:
    """Return the folder with the programs, whose server runs until this process exits."""
    resources = contextlib.ExitStack()
    atexit.register(resources.close)
    folder = Path(resources.enter_context(tempfile.TemporaryDirectory()))
    for program in _PROGRAMS:
        client = folder / program
        body = textwrap.dedent(_CLIENT).format(address=str(folder / "socket"), program=program)
        client.write_text(f"#!{sys.executable} -IS\n{body}", encoding="utf-8")
        client.chmod(0o755)
    arguments = [sys.executable, __file__, str(folder / "socket")]
    server = subprocess.Popen(arguments, env=environment(folder), stdout=subprocess.PIPE, text=True)
    resources.enter_context(server)
    resources.callback(server.kill)
    if server.stdout is None or server.stdout.readline() != "ready\n":
        raise RuntimeError("the server of commands must start; see its messages above")
    return folder


if __name__ == "__main__":
    _serve(sys.argv[1])
