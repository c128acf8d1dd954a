"""LLVM: programs compiled to the machine's vector instructions, run on blocks of points by threads."""

import ctypes
import ctypes.util
import os
import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm  # pyright: ignore[reportMissingImports]
import numpy as np

from symbolic_sgd.errors import BadInput, UnsupportedExpression
from symbolic_sgd.numeric.backends.llvm_kernel import kernel_source
from symbolic_sgd.numeric.backends.llvm_loop import loop_code
from symbolic_sgd.numeric.backends.register_machine import NumPy
from symbolic_sgd.numeric.backends.vector_code import c_library
from symbolic_sgd.numeric.fused import Loop, LoopBackend
from symbolic_sgd.numeric.lowering import Lowered, lower
from symbolic_sgd.numeric.random_step import RandomStep

SHARE = 1 << 18
"""Points that a thread takes at a time, at most."""

WORTH = 1 << 21
"""Operations that are worth another thread: handing over costs as much as some hundred thousands."""

LONGEST_STAGE = 2000
"""Steps of a scalar program between matrices up to which it is compiled: 20,000 take a minute, and the matrices cost more."""

CACHED = 256
"""Compiled programs that are kept in memory."""


@dataclass(frozen=True)
class LLVM(LoopBackend):
    """Machine code for this processor.

    Args:
        threads: how many blocks are evaluated at the same time (the interpreter's lock is released).

    Raises:
        BadInput: threads that are no positive integer.

    >>> import sympy as sp
    >>> from symbolic_sgd import LabelNoise, Problem, derive_limiting_sde
    >>> u, v = sp.symbols("u v")
    >>> sde = derive_limiting_sde(Problem.least_squares([u*v - 1], parameters=(u, v), noise=LabelNoise(1)))
    >>> sde.lambdify(backend=LLVM(threads=2)).drift([[2.0, 0.5], [1.0, 1.0]]).shape
    (2, 2)
    """

    threads: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.threads, int) or isinstance(self.threads, bool) or self.threads < 1:
            raise BadInput(f"threads is {self.threads!r}; give an integer ≥ 1")

    @property
    def fuses(self) -> bool:
        return True

    @property
    def block(self) -> int:
        return SHARE * self.threads

    def kernel(self, lowered: Lowered) -> "MachineCode":
        return MachineCode(compiled(lowered), lowered, self.threads)

    def stage(self, lowered: Lowered) -> Callable[[np.ndarray], np.ndarray]:
        return self.function(lowered) if len(lowered.steps) <= LONGEST_STAGE else NumPy().function(lowered)

    def loop(self, step: RandomStep) -> Loop:
        code, machine = compiled_loop(step), host()

        def run(x: np.ndarray, states: np.ndarray, parameters: np.ndarray, count: int) -> None:
            padding = -len(x) % machine.width
            moved = np.concatenate([x, np.repeat(x[-1:], padding, axis=0)])
            seeds = np.concatenate([states, np.repeat(states[-1:], padding, axis=0)])
            share = -(-len(moved) // (self.threads * machine.width)) * machine.width
            jobs = [
                _pool(self.threads).submit(_steps, code, count, moved[k : k + share], seeds[k : k + share], parameters)
                for k in range(0, len(moved), share)
            ]
            for job in jobs:
                job.result()
            x[...], states[...] = moved[: len(x)], seeds[: len(x)]

        return run


def _steps(code: "Compiled", count: int, x: np.ndarray, states: np.ndarray, parameters: np.ndarray) -> None:
    code.call(count, x.ctypes.data, states.ctypes.data, parameters.ctypes.data, len(x) // host().width)


@dataclass(frozen=True)
class Machine:
    """The processor: W doubles a vector, and whether a·b + c is one instruction."""

    width: int
    fused: bool


@lru_cache(maxsize=1)
def host() -> Machine:
    """The processor this runs on."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features()
    width = 8 if features.get("avx512f") else 4 if features.get("avx") else 2
    return Machine(width, bool(features.get("fma") or features.get("neon")))


def _name_functions() -> None:
    """The addresses of the C library's functions, wherever the system keeps them; a call of another would end the process.

    Raises:
        UnsupportedExpression: this system's C library lacks one that the table names.
    """
    library: Any = ctypes.CDLL(ctypes.util.find_library("m") or None)
    for name in {*c_library().values()} - _named:
        function = getattr(library, name, None)
        if function is None:
            raise UnsupportedExpression(
                f"the C library has no function {name!r}: evaluate with NumPy() or MPMath(digits=…)"
            )
        llvm.add_symbol(name, ctypes.cast(function, ctypes.c_void_p).value)
        _named.add(name)


_named: set[str] = set()


class Compiled:
    """A function in machine code; it lives as long as this object.

    Args:
        source: LLVM's code.
        name: of the function.
        arguments: its pointers, after the first argument, a number.
        result: what it returns, as ctypes names it.
    """

    def __init__(self, source: str, name: str, arguments: int, result: Any = None):
        _name_functions()
        module = llvm.parse_assembly(source)
        module.verify()
        target = llvm.Target.from_default_triple().create_target_machine(
            cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten(), opt=2
        )
        self._engine = llvm.create_mcjit_compiler(module, target)
        self._engine.finalize_object()
        prototype = ctypes.CFUNCTYPE(result, ctypes.c_int64, *[ctypes.c_void_p] * arguments)
        self.call = prototype(self._engine.get_function_address(name))


_cache: dict[Hashable, Compiled] = {}
_lock = threading.Lock()


def _kept(key: Hashable, compile_it: Callable[[], Compiled]) -> Compiled:
    """What was compiled, once in a process."""
    with _lock:
        found = _cache.get(key)
        if found is None:
            while len(_cache) >= CACHED:
                del _cache[next(iter(_cache))]
            found = _cache[key] = compile_it()
    return found


def compiled(lowered: Lowered) -> Compiled:
    """The machine code of a program."""
    machine = host()
    return _kept(
        lowered.source_hash,
        lambda: Compiled(
            kernel_source(lowered, machine.width, machine.fused), "rows", 1 + len(lowered.widths), ctypes.c_double
        ),
    )


def compiled_loop(step: RandomStep) -> Compiled:
    """The machine code of many random steps."""
    machine = host()
    return _kept(
        step,
        lambda: Compiled(
            loop_code(step, lower([step.program], step.symbols), machine.width, machine.fused), "steps", 4
        ),
    )


class MachineCode:
    """A compiled program on rows of points; what is left over of the last vector is filled up with its last point."""

    def __init__(self, code: Compiled, lowered: Lowered, threads: int):
        self.code = code
        self.width = host().width
        self.lowered = lowered
        self.threads = threads
        self._local = threading.local()

    def rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> float:
        threads = max(1, min(self.threads, len(points) * self.lowered.operations // WORTH))
        share = max(1, -(-len(points) // (threads * self.width))) * self.width
        own, *others = (slice(k, k + share) for k in range(0, max(1, len(points)), share))
        jobs = [_pool(self.threads).submit(self._rows, points[cut], [r[cut] for r in results]) for cut in others]
        total = self._rows(points[own], [r[own] for r in results])
        return sum((job.result() for job in jobs), start=total)

    def _rows(self, points: np.ndarray, results: Sequence[np.ndarray]) -> float:
        whole, total = len(points) // self.width, 0.0
        if whole:
            total = self.code.call(whole, points.ctypes.data, *(r.ctypes.data for r in results))
        rest = len(points) - whole * self.width
        if rest:
            padded = np.repeat(points[-1:], self.width, axis=0)
            padded[:rest] = points[-rest:]
            scratch = [np.empty((self.width, r.shape[1])) for r in results]
            total += self.code.call(1, padded.ctypes.data, *(s.ctypes.data for s in scratch))
            for r, s in zip(results, scratch, strict=True):
                r[-rest:] = s[:rest]
        return total

    def point(self, point: np.ndarray) -> Sequence[float]:
        local = self._local
        if not hasattr(local, "points"):
            local.points = np.empty((self.width, self.lowered.inputs))
            local.results = [np.empty((self.width, w)) for w in self.lowered.widths]
            local.arguments = (1, local.points.ctypes.data, *(r.ctypes.data for r in local.results))
        local.points[:] = point
        self.code.call(*local.arguments)
        values: list[float] = []
        for result in local.results:
            values += result[0].tolist()
        return values


@lru_cache(maxsize=8)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="symbolic-sgd")


def _after_fork() -> None:
    """A forked child has none of the threads of its parent, and must not wait for them."""
    global _lock
    _pool.cache_clear()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
