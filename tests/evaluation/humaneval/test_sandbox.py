"""The sandbox against programs that want out, want everything, or pretend: all in the real bubblewrap."""

import os
import platform
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

from preceptor.evaluation.humaneval.isolation import MIB, Limits, SandboxError
from preceptor.evaluation.humaneval.sandbox import Sandbox
from tests.evaluation.humaneval.bubblewrap import require_bubblewrap

MARK = 128 * MIB + 4096 * (os.getpid() % 1000)  # among the arguments of every process that these tests start
# A busy machine may need long to start a program: only who shall be stopped for its time has little of it.
LIMITS = Limits(cpu_seconds=1, wall_seconds=60, memory=MARK, disk=MIB)
SANDBOX, IMPATIENT = Sandbox(LIMITS), Sandbox(replace(LIMITS, wall_seconds=2.5))
EVERY_FILE = (
    "import os\nfor number in range(64):\n    try: os.write(number, {data})\n    except OSError: pass\n"
)


@pytest.fixture(scope="module", autouse=True)
def bubblewrap():
    require_bubblewrap()


def running() -> list[str]:
    """Command lines of this module's sandboxes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            found.append((process / "cmdline").read_text(errors="replace"))
    return [command for command in found if str(MARK) in command]


def eventually(condition) -> bool:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_a_right_function_passes_and_a_wrong_one_says_how_it_failed():
    tests = "def check(f):\n    assert f(2) == 4, 'two'\ncheck(twice)\n"
    right, wrong = (f"def twice(x): return x {sign} 2\n{tests}" for sign in "*-")
    assert SANDBOX.run(right).passed
    found = SANDBOX.run(wrong)
    assert (found.passed, found.why) == (False, "failed: AssertionError: two")


def test_outcomes_stand_in_the_programs_order():
    programs = ["import time; time.sleep(0.3)", "1 / 0", "pass", "", "x"]
    found = SANDBOX.run_all(programs, workers=3)
    assert [outcome.passed for outcome in found] == [True, False, True, True, False]


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """What an attack wants: a secret in a file here and at home, in the environment, and two servers."""
    monkeypatch.setenv("PLANTED", "secret")
    (tmp_path / "secret").write_text("secret")
    with (
        NamedTemporaryFile(dir=Path.home()) as at_home,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(type=socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        yield {
            "secret": str(tmp_path / "secret"),
            "home": at_home.name,
            "here": str(Path(__file__).parents[3]),
            "link": str(tmp_path / "link"),
            "tcp": tcp.getsockname()[1],
            "udp": udp.getsockname()[1],
        }


@pytest.mark.parametrize(
    "attack",
    [
        "open({secret!r}).read()",
        "open({home!r}).read()",
        "import os; os.listdir({here!r})",
        "import os; os.environ['PLANTED']",
        "import os; os.symlink({secret!r}, 'link'); open('link').read()",
        "open('/proc/self/root' + {secret!r})",
        "import socket; socket.create_connection(('127.0.0.1', {tcp}), 1)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {udp}))",
        "import os; os.fork() or os._exit(0)",
        "import subprocess; subprocess.run('true')",
        "import threading; threading.Thread(target=print).start()",
        "import ctypes; assert ctypes.CDLL(None).fork() >= 0",
        "import ctypes; assert ctypes.CDLL(None).shmget(0, 4096, 0o1600) >= 0",
        "import os; os.memfd_create('x')",
    ],
)
def test_what_a_program_can_do_outside_it_cannot_do_inside(outside, tmp_path, attack):
    attack = attack.format(**outside)
    assert subprocess.run([sys.executable, "-c", attack], cwd=tmp_path).returncode == 0
    outcome = SANDBOX.run(attack)
    assert not outcome.passed and outcome.why.startswith("failed: ")


@pytest.mark.parametrize(
    "attack",
    [
        "import socket; socket.create_connection(('8.8.8.8', 53), 1)",
        "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
        "import os; open(os.__file__, 'r+')",
        "import sys; open(sys.executable, 'ab')",
        "open('/proc/1/root/etc/passwd')",
        "open('/proc/1/mem', 'r+b')",
        "import os; os.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)",
        "import os; os.chmod('/dev/null', 0o666)",
        "import os; os.mkdir('/new')",
        "import os; os.mkdir('/dev/shm/new')",
        "import os; os.kill(os.getppid(), 9)\nimport time\ntime.sleep(9)",
        "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
        "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "import os; os.setuid(0)",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9, 9))",
    ],
)
def test_what_would_harm_the_machine_is_refused(attack):
    assert not SANDBOX.run(attack).passed


def test_it_has_namespaces_of_its_own_and_sees_no_other_process():
    names = ["net", "pid", "ipc", "uts", "mnt"] + ["user"] * (os.geteuid() != 0)
    ours = {name: str(Path(f"/proc/self/ns/{name}").readlink()) for name in names}
    program = (
        f"import os\nfor name, our in {ours!r}.items(): assert os.readlink('/proc/self/ns/' + name) != our\n"
        "assert {int(name) for name in os.listdir('/proc') if name.isdigit()} == {1, os.getpid()}\n"
        "assert os.getresuid() == (65534,) * 3 and os.getgroups() in ([], [65534])\n"
        "assert set(os.environ) <= {'PWD', 'LC_CTYPE', 'PYTHONHASHSEED'}\n"
        "assert os.uname().nodename == 'sandbox'\n"
        "assert not set(os.listdir('/')) & {'home', 'work', 'mnt', 'srv', 'var', 'opt', 'sys', 'run'}\n"
    )
    assert SANDBOX.run(program).why is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bomb", "why"),
    [
        ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "timeout"),
        ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "timeout"),
        (
            "import signal\nfor n in (*range(1, 9), *range(10, 19)): signal.signal(n, 1)\nwhile 1: 0",
            "timeout",
        ),
        ("import time\nwhile True:\n    try: time.sleep(99)\n    except: pass", "timeout"),
        ("import sys\nwhile True: print('x' * 10**5) or sys.stderr.write('x' * 10**5)", "timeout"),
        ("import os\nos.closerange(0, 99)\nwhile True: pass", "timeout"),
        (EVERY_FILE.format(data="b'x' * 10**7"), "timeout"),
        ("held = []\nwhile True: held.append(bytes(2**20))", "memory"),
        (
            "n = 0\nwhile n := n + 1: open(f'/tmp/{n}', 'wb').write(bytes(10**5))",
            "failed: OSError: [Errno 28]",
        ),
        ("open('/tmp/x', 'wb').write(bytes(2**21))", "failed: OSError: [Errno 27]"),
        ("n = 0\nwhile n := n + 1: open(f'/dev/shm/{n}', 'wb')", "failed: OSError: [Errno 30]"),
        ("held = [open('/dev/null') for _ in range(99)]", "failed: OSError: [Errno 24]"),
        ("import os\ntry: os.kill(-1, 9)\nexcept OSError: pass\nraise KeyError", "failed: KeyError"),
        ("raise ValueError('x' * 10**7)", "failed: ValueError: xxx"),
        (
            "import os\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while 1: 0",
            "failed: Perm",
        ),
    ],
)
def test_a_greedy_program_ends_and_leaves_nothing_behind(bomb, why):
    found = (IMPATIENT if why == "timeout" else SANDBOX).run(bomb)
    assert (found.passed, found.why.startswith(why)) == (False, True), found.why
    assert len(found.why) < 1100
    assert eventually(lambda: not running())


@pytest.mark.parametrize(
    "end",
    [
        "import sys; sys.exit(0)",
        "raise SystemExit",
        "import os; os._exit(0)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.abort()",
        "import os; os.execv('/usr/bin/true', ['true'])",
        "import ctypes; ctypes.CDLL(None).exit(0)",
        "import ctypes; ctypes.string_at(0)",
        "input()",
        "print('+', flush=True); import os; os._exit(0)",
        EVERY_FILE.format(data="b'+' + bytes(32)") + "os._exit(0)",
    ],
)
def test_a_program_that_ends_before_its_tests_has_not_passed(end):
    found = SANDBOX.run(f"{end}\ndef check(candidate): pass\ncheck(None)\n")
    assert (found.passed, bool(found.why)) == (False, True)


@pytest.mark.parametrize(
    "text", ["\0", "\ud800", "(" * 5000, "# coding: nonsense\n1 / 0", "x = '" + "y" * MIB]
)
def test_text_that_is_no_python_fails(text):
    assert SANDBOX.run(text).why.startswith("failed: ")


def test_sets_of_words_have_the_same_order_every_time():
    program = "import os\nraise ValueError(list(set('abcdefghij')))"
    assert len({SANDBOX.run(program).why for _ in range(4)}) == 1


def test_a_sandbox_dies_with_the_process_that_started_it():
    code = (
        "from preceptor.evaluation.humaneval.isolation import Limits\n"
        "from preceptor.evaluation.humaneval.sandbox import Sandbox\n"
        f"Sandbox(Limits(9, 900, {MARK})).run('import time; time.sleep(900)')"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[3]) as starter:
        assert eventually(lambda: len(running()) >= 3)  # the starter, bubblewrap and its program
        starter.send_signal(signal.SIGKILL)
    assert eventually(lambda: not running())


def test_a_machine_without_bubblewrap_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        SandboxError, match=r"apt install bubblewrap.*dnf install bubblewrap.*no command 'bwrap'"
    ):
        SANDBOX.check()


def test_a_sandbox_that_does_not_start_is_an_error_and_no_wrong_answer(monkeypatch, tmp_path):
    said = "bwrap: No permissions to create new namespace"
    (tmp_path / "bwrap").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(SandboxError, match=rf"{said}\).*kernel.unprivileged_userns_clone=1"):
        SANDBOX.run("pass")


def test_an_unknown_architecture_is_refused(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(SandboxError, match=r"x86_64, aarch64.*riscv64"):
        SANDBOX.check()
