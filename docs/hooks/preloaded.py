"""The command ``disentmetrics`` without start-up time: commands are forks of one process that has imported it.

Pages run dozens of commands, each of which would spend a second or two on imports. The folder of :func:`preloaded`
comes first on ``PATH``: its ``disentmetrics`` hands arguments, working directory, environment and standard streams to
the server, and ends with the exit code of the fork.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

_CLIENT = """
    import json, os, socket, sys
    with socket.socket(socket.AF_UNIX) as server:
        server.connect({address!r})
        request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request)
        code = server.recv(1)
    sys.exit(code[0] if code else "the command server has exited")
"""


def _serve(address: str) -> None:
    """Serve each connection by a fork that runs one command."""
    import json
    import socket

    import disentmetrics.cli as command_line

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                with contextlib.suppress(ChildProcessError):
                    while os.waitpid(-1, os.WNOHANG)[0]:
                        pass
                continue
            listener.close()
            head, streams, _, _ = socket.recv_fds(connection, 8, 3)
            length, request = int.from_bytes(head, "big"), b""
            while len(request) < length:
                request += connection.recv(length - len(request))
            child = os.fork()
            if child:
                status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                connection.sendall(bytes([status % 256]))
                os._exit(0)
            connection.close()
            arguments, folder, environment = json.loads(request)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            # New objects: those of the server were opened on streams of another kind.
            sys.stdin = os.fdopen(0, closefd=False)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(environment)
            sys.argv = ["disentmetrics", *arguments]
            break
    command_line.main()


@contextlib.contextmanager
def preloaded(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield a folder with the command ``disentmetrics``, served by a process in this environment."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = folder / "disentmetrics"
        body = textwrap.dedent(_CLIENT).format(address=str(folder / "socket"))
        client.write_text(f"#!{sys.executable} -IS\n{body}", encoding="utf-8")
        client.chmod(0o755)
        with subprocess.Popen(
            [sys.executable, __file__, str(folder / "socket")], env=environment, stdout=subprocess.PIPE, text=True
        ) as server:
            try:
                if server.stdout is None or server.stdout.readline() != "ready\n":
                    raise RuntimeError("the command server must start; see its messages above")
                yield folder
            finally:
                server.kill()


if __name__ == "__main__":
    _serve(sys.argv[1])
