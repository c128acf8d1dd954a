"""LLVM's intermediate language, printed: straight-line code on explicit vectors of doubles."""

import struct
from collections.abc import Sequence

from symbolic_sgd.algebra.functions import check_supported, in_library

INSTRUCTION = {"add": "fadd", "sub": "fsub", "mul": "fmul", "div": "fdiv"}

INTRINSIC = {"sqrt": "sqrt", "Abs": "fabs"}


def c_library() -> dict[str, str]:
    """The C library's functions that are called lane by lane, by their names in the table."""
    return {"pow": "pow"} | {name: c for name, c in in_library("c").items() if name not in (*INTRINSIC, "sign")}


class VectorCode:
    """Lines of code on values of type <W × double>; every method returns the name of the value it computes.

    Args:
        width: W.
        fused: whether the machine multiplies and adds in one rounding.
    """

    def __init__(self, width: int, fused: bool):
        self.width = width
        self.fused = fused
        self.type = f"<{width} x double>"
        self.integers = f"<{width} x i64>"
        self.lines: list[str] = []
        self.declarations: set[str] = set()
        self._count = 0

    def let(self, expression: str) -> str:
        """%t = expression."""
        self._count += 1
        self.lines.append(f"  %t{self._count} = {expression}")
        return f"%t{self._count}"

    def constant(self, value: float) -> str:
        """The same number in every lane."""
        return f"splat (double {hexadecimal(value)})"

    def operation(self, op: str, *operands: str) -> str:
        """One operation of a program, on all lanes; functions of the C library are called lane by lane.

        Raises:
            UnsupportedExpression: a function that the C library does not have (a call of its name would end the process).
        """
        if op in INSTRUCTION:
            return self.let(f"{INSTRUCTION[op]} {self.type} {operands[0]}, {operands[1]}")
        if op == "neg":
            return self.let(f"fneg {self.type} {operands[0]}")
        if op in INTRINSIC:
            return self.intrinsic(INTRINSIC[op], *operands)
        if op == "sign":
            return self.sign(operands[0])
        calls = c_library()
        check_supported([op], calls, "The back end LLVM")
        return self.by_lanes(calls[op], *operands)

    def intrinsic(self, name: str, *operands: str) -> str:
        """An operation that the processor has."""
        symbol = f"@llvm.{name}.v{self.width}f64"
        self.declarations.add(f"declare {self.type} {symbol}({', '.join([self.type] * len(operands))})")
        return self.let(f"call {self.type} {symbol}({', '.join(f'{self.type} {a}' for a in operands)})")

    def multiply_add(self, a: str, b: str, c: str) -> str:
        """a·b + c, in one rounding where the machine has it."""
        if self.fused:
            return self.intrinsic("fma", a, b, c)
        return self.operation("add", self.operation("mul", a, b), c)

    def sign(self, a: str) -> str:
        """−1, 0, 1, or NaN."""
        zero = self.constant(0.0)
        positive = self.select(self.compare("ogt", a, zero), self.constant(1.0), zero)
        signed = self.select(self.compare("olt", a, zero), self.constant(-1.0), positive)
        return self.select(self.compare("uno", a, zero), a, signed)

    def compare(self, relation: str, a: str, b: str) -> str:
        """A bit for each lane."""
        return self.let(f"fcmp {relation} {self.type} {a}, {b}")

    def select(self, bits: str, a: str, b: str) -> str:
        """a where the bit is set, else b."""
        return self.let(f"select <{self.width} x i1> {bits}, {self.type} {a}, {self.type} {b}")

    def by_lanes(self, function: str, *operands: str) -> str:
        """A function of the C library, called once a lane."""
        self.declarations.add(f"declare double @{function}({', '.join(['double'] * len(operands))})")
        result = "poison"
        for lane in range(self.width):
            scalars = [self.let(f"extractelement {self.type} {a}, i64 {lane}") for a in operands]
            value = self.let(f"call double @{function}({', '.join(f'double {a}' for a in scalars)})")
            result = self.let(f"insertelement {self.type} {result}, double {value}, i64 {lane}")
        return result

    # --- memory: points are rows, vectors are columns ---------------------------------------------

    def load(self, pointer: str, offset: int) -> str:
        """W doubles that follow each other."""
        place = self.let(f"getelementptr double, ptr {pointer}, i64 {offset}")
        return self.let(f"load {self.type}, ptr {place}, align 8")

    def store(self, value: str, pointer: str, offset: int) -> None:
        """Write W doubles that follow each other."""
        place = self.let(f"getelementptr double, ptr {pointer}, i64 {offset}")
        self.lines.append(f"  store {self.type} {value}, ptr {place}, align 8")

    def load_columns(self, pointer: str, count: int) -> list[str]:
        """The columns of W rows of `count` numbers."""
        if count <= self.width:
            return self.deinterleave([self.load(pointer, k * self.width) for k in range(count)])
        columns: dict[int, str] = {}
        for first in tiles(count, self.width):
            rows = [self.load(pointer, row * count + first) for row in range(self.width)]
            columns |= {first + j: c for j, c in enumerate(self.deinterleave(rows)) if first + j not in columns}
        return [columns[j] for j in range(count)]

    def store_columns(self, columns: Sequence[str], pointer: str, first: int, count: int) -> None:
        """Write columns first, first + 1, … of W rows of `count` numbers: all of them, or W."""
        if len(columns) == count:
            for k, vector in enumerate(self.interleave(columns)):
                self.store(vector, pointer, k * self.width)
            return
        for row, vector in enumerate(self.interleave(columns)):
            self.store(vector, pointer, row * count + first)

    def store_rows(self, columns: Sequence[str], pointer: str) -> None:
        """Write all columns of W rows, one row after the other."""
        count = len(columns)
        parts = [(first, self.interleave(columns[first : first + self.width])) for first in tiles(count, self.width)]
        for row in range(self.width):
            for first, vectors in parts:
                self.store(vectors[row], pointer, row * count + first)

    def assemble(self, lanes: Sequence[tuple[str, int]]) -> str:
        """A vector whose lanes are taken from lanes of others."""
        sources = list(dict.fromkeys(vector for vector, _ in lanes))
        result, known = sources[0], {i: lane for i, (vector, lane) in enumerate(lanes) if vector == sources[0]}
        if len(sources) == 1 and list(known.values()) == list(range(self.width)):
            return result
        for source in sources[1:] or sources[:1]:
            taken = {i: lane for i, (vector, lane) in enumerate(lanes) if vector == source}
            mask = [known[i] if i in known else self.width + taken[i] if i in taken else -1 for i in range(self.width)]
            result = self._shuffle(result, source, mask)
            known |= taken
            known = {i: i for i in known}
        return result

    def _shuffle(self, a: str, b: str, mask: Sequence[int]) -> str:
        places = ", ".join("i32 poison" if k < 0 else f"i32 {k}" for k in mask)
        return self.let(f"shufflevector {self.type} {a}, {self.type} {b}, <{self.width} x i32> <{places}>")

    def deinterleave(self, vectors: Sequence[str]) -> list[str]:
        """From n vectors that hold W rows of n numbers, the n columns: one prime factor of n at a time."""
        n, w = len(vectors), self.width
        if n == 1:
            return list(vectors)
        p = smallest_factor(n)
        columns: list[str] = [""] * n
        for r in range(p):
            part = [
                self.assemble([(vectors[m * p + (k * p + r) // w], (k * p + r) % w) for k in range(w)])
                for m in range(n // p)
            ]
            columns[r::p] = self.deinterleave(part)
        return columns

    def interleave(self, columns: Sequence[str]) -> list[str]:
        """The inverse of `deinterleave`."""
        n, w = len(columns), self.width
        if n == 1:
            return list(columns)
        p = smallest_factor(n)
        parts = [self.interleave(columns[r::p]) for r in range(p)]
        return [
            self.assemble([(parts[i % p][i // p // w], i // p % w) for i in range(m * w, m * w + w)]) for m in range(n)
        ]


def tiles(count: int, width: int) -> list[int]:
    """The first columns of tiles that cover `count` > W columns; the last may overlap the one before."""
    return sorted({*range(0, count - width + 1, width), count - width})


def smallest_factor(n: int) -> int:
    """The smallest prime factor of n ≥ 2."""
    return next(p for p in range(2, n + 1) if n % p == 0)


def hexadecimal(value: float) -> str:
    """A double as LLVM writes it, to the last bit."""
    return f"0x{struct.unpack('>Q', struct.pack('>d', value))[0]:016X}"
