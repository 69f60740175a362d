"""Processes of their own for reading what strangers wrote, bounded in memory and time.

Belongs here: the processes, their limits, and what the end of one means for the file.
Does not belong here: reading.

A parser that a hostile file sends to its limits, or crashes, takes only this process with it; the
next file gets a new one.
"""

import atexit
import errno
import os
import queue
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from ingestion.errors import FileRejected, UserError
from ingestion.reasons import Rejection

# Resident memory: libraries and DuckDB's 160 MB come to 300 MB, a workbook takes 50 bytes a cell.
MEMORY_BYTES = 490_000_000
# What the kernel refuses beyond, for the one request that asks for everything: writable memory, of
# which parsers reserve 1.6 GB for what they hold in 300 MB.
WRITABLE_BYTES = 2_500_000_000
# A process that holds more than this between two files is replaced.
IDLE_BYTES = 350_000_000
# Exports land at 20 MB a second and more; whatever needs more than this is none.
SECONDS, BYTES_A_SECOND = 60, 1_000_000
FILE_BYTES = 20_000_000_000
GLANCE_SECONDS = 0.02

T = TypeVar("T")


class Worker:
    """Runs one job at a time in a process of its own, started when first needed."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def call(self, job: Callable[..., T], *arguments: Any, size: int = 0) -> T:
        """What `job(*arguments)` returns or raises there; `size` in bytes allows for more time.

        Raises FileRejected if it takes too much memory or time, or does not survive.
        """
        pipe = self._started()
        pipe.send((job, arguments))
        end = time.monotonic() + max(SECONDS, size / BYTES_A_SECOND)
        try:
            while not pipe.poll(GLANCE_SECONDS):
                if time.monotonic() > end:
                    raise FileRejected(
                        Rejection.TOO_SLOW, "takes far longer to read than an export can need"
                    )
                if self._resident() > MEMORY_BYTES:
                    raise MemoryError
            outcome = pipe.recv()
        except FileRejected:
            self.stop()
            raise
        except (EOFError, ConnectionError, MemoryError) as error:
            self.stop()
            raise FileRejected(
                Rejection.TOO_LARGE,
                "needs more memory than a reader may take, or broke it",
            ) from error
        if self._resident() > IDLE_BYTES:
            self.stop()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def _resident(self) -> int:
        """Bytes the process holds in memory; 0 where the system does not tell (not Linux)."""
        process_id = self._process.pid if self._process else 0
        try:
            statm = Path(f"/proc/{process_id}/statm").read_text(encoding="ascii")
            return int(statm.split()[1]) * resource.getpagesize()
        except (OSError, IndexError):
            return 0

    def stop(self) -> None:
        """End the process; the next call starts another."""
        if self._process is not None and self._pipe is not None:
            self._pipe.close()
            self._process.kill()
            self._process.wait()
        self._process = self._pipe = None

    def _started(self) -> Connection:
        if self._process is None or self._pipe is None:
            self._pipe, theirs = Pipe()
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",  # nothing that lies where the command was called is imported
                    "-c",
                    f"from ingestion.worker import serve; serve({theirs.fileno()})",
                ],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            theirs.close()
        return self._pipe


class Workers:
    """Runs as many jobs side by side as it has processes."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._idle: queue.LifoQueue[Worker] = queue.LifoQueue()
        for _ in range(count):
            self._idle.put(Worker())

    def call(self, job: Callable[..., T], *arguments: Any, size: int = 0) -> T:
        """See Worker.call; waits for an idle process."""
        worker = self._idle.get()
        try:
            return worker.call(job, *arguments, size=size)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """End the idle processes."""
        for worker in list(self._idle.queue):
            worker.stop()


# 600 small files landed in 44 s with one, most of it planning statements, which uses one core.
READERS = Workers(min(4, os.cpu_count() or 1))
atexit.register(READERS.stop)


def serve(descriptor: int) -> None:
    """The process itself: jobs from the pipe, outcomes into it, until the pipe closes."""
    resource.setrlimit(resource.RLIMIT_DATA, (WRITABLE_BYTES, WRITABLE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pipe = Connection(descriptor)
    while True:
        try:
            job, arguments = pipe.recv()
        except EOFError:
            os._exit(0)
        pipe.send(_outcome(job, arguments))


def _outcome(job: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return job(*arguments)
    except UserError as error:
        return error
    except (MemoryError, duckdb.OutOfMemoryException):
        os._exit(1)  # what is left of the process cannot be trusted; the caller is told by its end
    except OSError as error:
        return OSError(error.errno, error.strerror, error.filename)
    except duckdb.Error as error:
        if "no space left" in str(error).lower():
            return OSError(errno.ENOSPC, "No space left on device")
        # Its text may hold a cell; the kind of error is all that leaves.
        kind = type(error).__name__
        return FileRejected(Rejection.UNREADABLE, f"cannot be read by its mapping ({kind})")
    except BaseException:
        return RuntimeError(traceback.format_exc())
