"""libengraft through cffi: strings, errors, progress and the threads it works with."""
from __future__ import annotations

import ctypes
import os
import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterator

from . import _reasons
from ._abi import ffi as _ffi
from ._errors import EngraftError

ffi: Any = _ffi

HERE = Path(__file__).resolve().parent
# Beside this file in a wheel; a program under development names another.
lib: Any = ffi.dlopen(os.environ.get("PYENGRAFT_LIBRARY", str(HERE / "libengraft.so.0")))

E_EXISTS = 11
E_CANCELLED = 9


def text(pointer: Any) -> str | None:
    """A C string as text; None for NULL."""
    return None if pointer == ffi.NULL else ffi.string(pointer).decode("utf-8", "surrogateescape")


def words(pointer: Any) -> str:
    return text(pointer) or ""


def owned_text(pointer: Any) -> str:
    """The same of a string that is the caller's to free."""
    if pointer == ffi.NULL:
        raise MemoryError
    try:
        return words(pointer)
    finally:
        free(pointer)


# free() of the C library is in no header of ours.
_c_free = ctypes.CDLL(None).free
_c_free.argtypes = [ctypes.c_void_p]


def free(pointer: Any) -> None:
    _c_free(int(ffi.cast("uintptr_t", pointer)))


def encoded(value: str | os.PathLike[str] | None, keep: list[Any]) -> Any:
    """A C string that lives as long as `keep`; NULL for None."""
    if value is None:
        return ffi.NULL
    made = ffi.new("char[]", os.fsencode(value))
    keep.append(made)
    return made


def encoded_list(values: list[str], keep: list[Any]) -> Any:
    made = ffi.new("char *[]", [encoded(value, keep) for value in values])
    keep.append(made)
    return made


def options(name: str, keep: list[Any], **members: Any) -> Any:
    """A struct of options with its size and what is given."""
    made = ffi.new(f"struct {name} *")
    keep.append(made)
    made.size = ffi.sizeof(f"struct {name}")
    for member, value in members.items():
        setattr(made, member, value)
    return made


def check(status: int, err: Any) -> None:
    """Raise what a call says."""
    if status == 0:
        return
    code = next((key[3:] for key, value in _statuses().items() if value == status), "E_SYSTEM")
    kind = _reasons.BY_NUMBER.get(int(err.reason), EngraftError)
    raise kind(words(err.message), code, words(lib.eg_reason_name(err.reason)), words(err.subject))


def _statuses() -> dict[str, int]:
    return {name: number for number, name in ffi.typeof("enum eg_status").elements.items()}


def new_error() -> Any:
    return ffi.new("struct eg_error *")


# ---- threads ------------------------------------------------------------------------------

_pools: dict[tuple[int, int], Any] = {}
_pools_lock = threading.Lock()


def pool(threads: int = 0) -> Any:
    """Worker threads of this process. A child of fork has none of its parent's and gets its own."""
    key = (os.getpid(), threads)
    with _pools_lock:
        if key not in _pools:
            made, err = ffi.new("eg_pool **"), new_error()
            check(lib.eg_pool_create(threads, made, err), err)
            _pools[key] = made[0]
        return _pools[key]


def _renew_lock() -> None:
    global _pools_lock
    _pools_lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


# ---- progress -----------------------------------------------------------------------------


class Progress:
    """A bar (tqdm's, where it is installed) that the library moves; stops it on ctrl-C.

    An exception in the callback, KeyboardInterrupt above all, ends the library's work at its next
    step and is raised where the work was called.
    """

    def __init__(self, what: str, show: bool | None, unit: str = "photo") -> None:
        self.cause: BaseException | None = None
        self._bar: Any = None
        self._what = what
        self._unit = unit
        self._show = show
        self._interrupted = False
        self.callback: Any = ffi.callback("bool(void *, size_t, size_t)", self._step, error=False, onerror=self._failed)

    def _open(self, total: int) -> None:
        try:
            from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            self._show = False
            return
        # Without a wish: on terminals and in notebooks.
        self._bar = tqdm(total=total, desc=self._what, unit=self._unit, disable=None if self._show is None else not self._show, leave=False)

    def _step(self, user: Any, done: int, total: int) -> bool:
        return self.step(done, total)

    def step(self, done: int, total: int) -> bool:
        """Move the bar; False after ctrl-C."""
        if self._interrupted:
            return False
        if self._show is not False:
            if self._bar is None or (self._bar.total != total or done < self._bar.n):
                if self._bar is not None:
                    self._bar.close()
                self._open(total)
            if self._bar is not None:
                self._bar.update(done - self._bar.n)
        return True

    def _failed(self, kind: Any, value: BaseException, trace: Any) -> bool:
        self.cause = value
        return False

    def interrupt(self, *_: Any) -> None:
        self._interrupted = True

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def progress(what: str, show: bool | None = None) -> Iterator[Progress]:
    """Around one long call of the library, and `run` for the call itself."""
    made = Progress(what, show)
    before: Any = None
    main = threading.current_thread() is threading.main_thread()
    if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # While C runs, a KeyboardInterrupt could only be raised inside the callback.
        before = signal.signal(signal.SIGINT, made.interrupt)
    try:
        yield made
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
        made.close()


def run(bar: Progress, call: Callable[..., int], *arguments: Any) -> None:
    """Make the call; arguments end before the error."""
    err = new_error()
    status = call(*arguments, err)
    if bar.cause is not None:
        raise bar.cause
    if status == E_CANCELLED and bar._interrupted:
        raise KeyboardInterrupt
    check(status, err)
