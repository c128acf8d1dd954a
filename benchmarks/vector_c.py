"""The C that machine code is measured against: explicit vectors of 8 doubles, compiled by gcc -O3 -march=native.

Points are given to it as columns, so that it has no rows to transpose.
"""

import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from symbolic_sgd.numeric.lowering import STORE, Lowered

W = 8
VECTOR = f"__attribute__((vector_size({8 * W}), aligned(8)))"
HEAD = f"typedef double vd {VECTOR};\ntypedef unsigned long vu {VECTOR};\n#include <stddef.h>\n#include <math.h>\n"
INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


def compiled(source: str, function: str) -> tuple[ctypes._CFuncPtr, float]:
    """The function, and the seconds gcc took."""
    folder = Path(tempfile.mkdtemp())
    (folder / "f.c").write_text(HEAD + source)
    start = time.perf_counter()
    command = [
        "gcc",
        "-O3",
        "-march=native",
        "-mprefer-vector-width=512",
        "-shared",
        "-fPIC",
        "-o",
        "f.so",
        "f.c",
        "-lm",
    ]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    seconds = time.perf_counter() - start
    return getattr(ctypes.CDLL(str(folder / "f.so")), function), seconds


def body(lowered: Lowered, inputs: list[str], store: str) -> str:
    """The steps as statements; `store` is formatted with the place and the value."""
    names = dict(enumerate([*inputs, *(f"((vd){{}} + {c!r})" for c in lowered.constants)]))
    lines = []
    for i, step in enumerate(lowered.steps):
        a = [names[k] for k in step.operands]
        if step.op == STORE:
            lines.append(store.format(place=step.target, value=a[0]))
            continue
        names[step.target] = f"t{i}"
        lines.append(f"vd t{i} = {f'-{a[0]}' if step.op == 'neg' else f'{a[0]} {INFIX[step.op]} {a[1]}'};")
    return "\n".join(lines)


def function_of_columns(lowered: Lowered):
    """(columns D×B, results K×B) for B a multiple of 8, and the seconds gcc took."""
    d = lowered.inputs
    loads = "\n".join(f"vd x{j} = *(const vd *)(x + {j} * n + i);" for j in range(d))
    source = f"""void f(size_t n, const double *restrict x, double *restrict y) {{
for (size_t i = 0; i < n; i += {W}) {{
{loads}
{body(lowered, [f"x{j}" for j in range(d)], "*(vd *)(y + {place} * n + i) = {value};")}
}} }}"""
    function, seconds = compiled(source, "f")

    def run(x: np.ndarray, y: np.ndarray) -> None:
        function(ctypes.c_size_t(x.shape[1]), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))

    return run, seconds


def function_of_rows(lowered: Lowered):
    """The same on rows (B×D → B×K), as the callables take them: each vector is gathered from 8 rows."""
    d, k = lowered.inputs, lowered.size
    loads = "\n".join(f"vd x{j} = {{{', '.join(f'x[{d} * (i + {r}) + {j}]' for r in range(W))}}};" for j in range(d))
    spread = "\n".join(f"for (int r = 0; r < {W}; r++) y[{k} * (i + r) + {j}] = y{j}[r];" for j in range(k))
    source = f"""void f(size_t n, const double *restrict x, double *restrict y) {{
for (size_t i = 0; i < n; i += {W}) {{
{loads}
{body(lowered, [f"x{j}" for j in range(d)], "vd y{place} = {value};")}
{spread}
}} }}"""
    function, _ = compiled(source, "f")

    def run(x: np.ndarray, y: np.ndarray) -> None:
        function(ctypes.c_size_t(len(x)), ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(y.ctypes.data))

    return run


def sgd_of_columns(z: np.ndarray, target: float, rate: float):
    """Label noise on f_i = z_i·(u² − v²) − target, one sample a step and a sign: (steps, x (2d×B), states (4×B)).

    xoshiro256++ in each lane; the row of z is blended from registers by two bits, for 4 samples.
    """
    n, d = z.shape
    assert n == 4
    loads = "\n".join(f"vd x{j} = *(vd *)(x + {j} * n + i);" for j in range(2 * d))
    saves = "\n".join(f"*(vd *)(x + {j} * n + i) = x{j};" for j in range(2 * d))
    states = "\n".join(f"vu s{k} = *(vu *)(s + {k} * n + i);" for k in range(4))
    kept = "\n".join(f"*(vu *)(s + {k} * n + i) = s{k};" for k in range(4))
    blend = "\n".join(
        f"vd z{j} = b1 ? (b0 ? ((vd){{}} + {z[3, j]}.0) : ((vd){{}} + {z[2, j]}.0))"
        f" : (b0 ? ((vd){{}} + {z[1, j]}.0) : ((vd){{}} + {z[0, j]}.0));"
        for j in range(d)
    )
    residual = " + ".join(f"z{j} * (x{j} * x{j} - x{d + j} * x{d + j})" for j in range(d))
    move = "\n".join(f"{{ vd g = w * z{j}; x{j} -= g * x{j}; x{d + j} += g * x{d + j}; }}" for j in range(d))
    source = f"""void f(size_t n, long steps, double *restrict x, unsigned long *restrict s) {{
for (size_t i = 0; i < n; i += {W}) {{
{loads}
{states}
for (long k = 0; k < steps; k++) {{
  vu a = s0 + s3, bits = ((a << 23) | (a >> 41)) + s0, t = s1 << 17;
  s2 ^= s0; s3 ^= s1; s1 ^= s2; s0 ^= s3; s2 ^= t; s3 = (s3 << 45) | (s3 >> 19);
  typedef long vl __attribute__((vector_size({8 * W})));
  vl b0 = (vl)((bits >> 62) & 1) != 0, b1 = (vl)((bits >> 63) & 1) != 0;
  vd sign = (vd)((bits << 63) | 0x3FF0000000000000UL);
{blend}
  vd r = {residual} - {target};
  vd w = {2 * rate} * (r + sign);
{move}
}}
{saves}
{kept}
}} }}"""
    # gcc compiles `?:` on vectors in C++ only
    folder_function, _ = compiled_cpp(source)

    def run(steps: int, x: np.ndarray, s: np.ndarray) -> None:
        folder_function(
            ctypes.c_size_t(x.shape[1]),
            ctypes.c_long(steps),
            ctypes.c_void_p(x.ctypes.data),
            ctypes.c_void_p(s.ctypes.data),
        )

    return run


def loop_of_columns(lowered: Lowered, dimension: int, parameters: list[float]):
    """(steps, x (D×B)): a step without random numbers, repeated with the state in registers."""
    loads = "\n".join(f"vd x{j} = *(vd *)(x + {j} * n + i);" for j in range(dimension))
    saves = "\n".join(f"*(vd *)(x + {j} * n + i) = x{j};" for j in range(dimension))
    moves = "\n".join(f"x{j} = y{j};" for j in range(dimension))
    inputs = [*(f"x{j}" for j in range(dimension)), *(f"((vd){{}} + {p!r})" for p in parameters), "((vd){})"]
    source = f"""void f(size_t n, long steps, double *restrict x) {{
for (size_t i = 0; i < n; i += {W}) {{
{loads}
for (long k = 0; k < steps; k++) {{
{body(lowered, inputs, "vd y{place} = {value};")}
{moves}
}}
{saves}
}} }}"""
    function, _ = compiled(source, "f")

    def run(steps: int, x: np.ndarray) -> None:
        function(ctypes.c_size_t(x.shape[1]), ctypes.c_long(steps), ctypes.c_void_p(x.ctypes.data))

    return run


def compiled_cpp(source: str) -> tuple[ctypes._CFuncPtr, float]:
    """As `compiled`, by g++."""
    folder = Path(tempfile.mkdtemp())
    (folder / "f.cpp").write_text(HEAD + 'extern "C" ' + source.replace("restrict", "__restrict"))
    start = time.perf_counter()
    command = ["g++", "-O3", "-march=native", "-mprefer-vector-width=512", "-shared", "-fPIC", "-o", "f.so", "f.cpp"]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return ctypes.CDLL(str(folder / "f.so")).f, time.perf_counter() - start
