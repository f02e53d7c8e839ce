# Copyright (c) 2026, The steward.maintenance authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application stopped, started and asked how it is: with real processes, files and sockets."""

from __future__ import annotations

import contextlib
import http.server
import pathlib
import socket
import threading
import time
import typing as t

import pytest

from ansible_collections.steward.maintenance.plugins.module_utils._core.application import (
    APPLICATION_ARGUMENTS,
    Application,
    ApplicationError,
    Commands,
    Compose,
    application_from,
    run_command,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.health import (
    HEALTH_ARGUMENTS,
    Health,
    health_from,
)
from ansible_collections.steward.maintenance.plugins.module_utils._core.suggest import InputError


def flag(path: pathlib.Path, stop: str = "rm {}", start: str = "touch {}", look: str = "test -e {}") -> Commands:
    """An application that runs as long as a file is there."""
    words = [tuple(text.format(path).split()) for text in (stop, start, look)]
    return Commands((words[0],), (words[1],), words[2])


def test_stopped_and_started_and_seen(tmp_path: pathlib.Path) -> None:
    application = Application([flag(tmp_path / "a"), flag(tmp_path / "b")], 2, 2)
    assert application.is_stopped()
    application.start()
    assert application.is_running()
    (tmp_path / "a").unlink()
    assert not application.is_running()
    assert not application.is_stopped()
    application.stop()  # what does not run is not told to stop: "rm" would fail
    assert application.is_stopped()


def test_without_a_part_there_is_nothing_to_do() -> None:
    application = Application([])
    assert application.is_stopped()
    assert application.is_running()
    application.stop()
    application.start()


def test_a_command_that_did_nothing_is_found_out(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a"
    lazy = Application([flag(path, stop="true", start="true")], 0.2, 0.2)
    with pytest.raises(ApplicationError, match="what test looks at does not run 200 ms after it was started"):
        lazy.start()
    path.touch()
    with pytest.raises(ApplicationError, match="still runs 200 ms after it was told to stop"):
        lazy.stop()


def test_a_command_that_fails_or_does_not_end_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(ApplicationError, match="does not stop: false ended with status 1"):
        Application([flag(tmp_path / "a", stop="false")], 1, 1).stop()
    began = time.monotonic()
    with pytest.raises(ApplicationError, match="sleep has not ended after 300 ms and was killed"):
        Application([flag(tmp_path / "a", stop="sleep 60")], 0.3, 1).stop()
    assert time.monotonic() - began < 10
    with pytest.raises(ApplicationError, match=r"cannot run \./nowhere: No such file"):
        run_command(["./nowhere"], 1)


def test_what_could_not_look_is_not_taken_for_stopped(tmp_path: pathlib.Path) -> None:
    blind = Application([Commands((("true",),), (("true",),), ("grep", "x", str(tmp_path / "nowhere")))], 1, 1)
    with pytest.raises(ApplicationError, match="ended with status 2, which says neither"):
        blind.is_stopped()


def test_output_that_stays_open_keeps_nobody_waiting() -> None:
    began = time.monotonic()
    assert run_command(["sh", "-c", "echo started; sleep 20 &"], 10) == (0, "started")
    assert time.monotonic() - began < 5


def test_secrets_in_what_a_command_says_are_masked() -> None:
    assert "hunter2" not in run_command(["echo", "password=hunter2 refused"], 5)[1]


def test_compose_services_are_told_by_name(tmp_path: pathlib.Path) -> None:
    """A stand-in for the program, which is called as docker compose is and keeps a file for each running service."""
    program = tmp_path / "compose"
    program.write_text(
        '#!/bin/sh\necho "$PWD $*" >>calls\nverb=$1; shift\necho "WARN the attribute cache is old" >&2\n'
        "case $verb in ps) test $1 = --all && echo api cache worker || ls running ;;"
        " stop) for s; do rm -f running/$s; done ;; start) for s; do touch running/$s; done ;; esac\n"
    )
    program.chmod(0o755)
    (tmp_path / "running").mkdir()
    # More than the end of what a command says would hold, and listed whether they are asked for or not.
    others = ["cache", "mail", "queue", "search", "static", "zone"]
    for name in ("api", "worker", *others):
        (tmp_path / "running" / name).touch()
    part = Compose(str(tmp_path), ("api", "worker"), (str(program),))
    application = Application([part], 5, 5)
    assert application.is_running()
    application.stop()
    assert application.is_stopped()
    assert sorted(path.name for path in (tmp_path / "running").iterdir()) == others
    (tmp_path / "running" / "api").touch()
    assert not application.is_running()
    application.start()
    assert application.is_running()
    calls = (tmp_path / "calls").read_text().splitlines()
    assert f"{tmp_path} stop api worker" in calls
    assert f"{tmp_path} ps --services --filter status=running api worker" in calls
    # What is misspelt does not run, and is no application that was stopped.
    with pytest.raises(ApplicationError, match=r"compose_services: unknown service 'workr', .*'worker'"):
        Application([Compose(str(tmp_path), ("workr",), (str(program),))]).is_stopped()
    # Of all services none runs, whatever it warns of.
    for name in ("api", "worker", *others):
        (tmp_path / "running" / name).unlink()
    assert Application([Compose(str(tmp_path), (), (str(program),))]).is_stopped()


def _params(**given: t.Any) -> dict[str, t.Any]:
    return {**{name: spec["default"] for name, spec in (APPLICATION_ARGUMENTS | HEALTH_ARGUMENTS).items()}, **given}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"compose_services": ["api"]}, "compose_services is given without compose_directory"),
        ({"compose_directory": "/srv", "compose_command": []}, "compose_command is empty"),
        ({"stop_commands": [["a"]], "start_commands": [["b"]]}, "running_command is empty"),
        ({"running_command": ["a"]}, "stop_commands is empty"),
        ({"stop_commands": ["systemctl stop api"]}, "stop_commands has 'systemctl stop api': each command is a list"),
        ({"stop_commands": [[]]}, r"stop_commands has \[\]: each command is a list"),
        ({"start_timeout": "0s"}, "start_timeout: duration '0s' is zero"),
    ],
)
def test_bad_input_is_named(given: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        application_from(_params(**given))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"health_url": "localhost:80/health"}, "is no URL: write it like"),
        ({"health_url": "http://"}, "is no URL"),
        ({"health_status": 20}, "health_status is 20: it must be an HTTP status"),
        ({"health_timeout": "soon"}, "health_timeout: duration 'soon' cannot be read"),
    ],
)
def test_a_question_that_cannot_be_right_is_named(given: dict[str, t.Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        health_from(_params(**given))


@contextlib.contextmanager
def answering(status: int, location: str = "") -> t.Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/health"
    finally:
        server.shutdown()
        server.server_close()


def test_health_is_the_expected_status_and_no_other() -> None:
    with answering(204) as url:
        assert Health(url, 204).problem() == ""
        assert Health(url, 200).problem() == f"{url} answered 204 instead of 200"
    with answering(200) as healthy, answering(302, healthy) as url:
        assert Health(url, 302).problem() == ""
        assert "answered 302 instead of 200" in Health(url).problem()
    assert "cannot be asked" in Health(url).problem()
    assert Health().problem() == ""
    assert not Health().asks


@pytest.mark.parametrize("sends", [b"", b"HTTP/1.0 200 OK\r\nX: "])
def test_an_answer_that_never_ends_ends_the_asking(sends: bytes) -> None:
    """A server that sends a byte now and then keeps a socket's own timeout from striking."""
    over = threading.Event()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def drip() -> None:
            with contextlib.suppress(OSError):
                peer, _place = listener.accept()
                peer.sendall(sends)
                while sends and not over.wait(0.1):
                    peer.sendall(b"x")
                over.wait(10)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        wrong = Health(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.6).wait()
        over.set()
    assert "did not answer within" in wrong or "timed out" in wrong
    assert time.monotonic() - began < 4


def test_it_is_asked_until_it_is_well(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "well"
    health = Health(command=("test", "-e", str(path)), timeout=5)
    assert "test ended with status 1" in health.problem()
    threading.Timer(0.3, path.touch).start()
    assert health.wait() == ""
    assert health.question == "test ends with status 0"
    path.unlink()
    assert "(asked for 300 ms)" in Health(command=("test", "-e", str(path)), timeout=0.3).wait()
