"""Random numbers in vector code: each lane runs a generator of its own.

The generator is xoshiro256++ (Blackman & Vigna 2021). Normal numbers are Box and Muller's √(−2 ln u)·(cos θ, sin θ).
"""

import math
import struct
from collections.abc import Sequence
from fractions import Fraction

from symbolic_sgd.numeric.backends.vector_code import VectorCode

LOGARITHM_TERMS, SINE_TERMS, COSINE_TERMS = 11, 8, 9
"""Terms after which the series of artanh s, |s| < 0.172, and of sin and cos, |θ| ≤ π/4, are exact to a rounding error."""

BITS_OF_ONE = struct.unpack(">q", struct.pack(">d", 1.0))[0]
BITS_OF_ROOT_HALF = struct.unpack(">q", struct.pack(">d", math.sqrt(0.5)))[0]

SELECTED = 8
"""A table with more rows is read from memory; a shorter one is selected from registers."""


class RandomLanes:
    """The state of W generators, s0 … s3, as values of a block of code."""

    def __init__(self, code: VectorCode, state: Sequence[str]):
        self.code = code
        self.state = list(state)

    def integer(self, op: str, a: str, b: str | int) -> str:
        operand = f"splat (i64 {b})" if isinstance(b, int) else b
        return self.code.let(f"{op} {self.code.integers} {a}, {operand}")

    def draw(self) -> str:
        """64 random bits a lane."""
        s0, s1, s2, s3 = self.state
        result = self.integer("add", self._rotated(self.integer("add", s0, s3), 23), s0)
        t = self.integer("shl", s1, 17)
        s2 = self.integer("xor", s2, s0)
        s3 = self.integer("xor", s3, s1)
        s1 = self.integer("xor", s1, s2)
        s0 = self.integer("xor", s0, s3)
        self.state = [s0, s1, self.integer("xor", s2, t), self._rotated(s3, 45)]
        return result

    def _rotated(self, a: str, bits: int) -> str:
        name = f"@llvm.fshl.v{self.code.width}i64"
        v = self.code.integers
        self.code.declarations.add(f"declare {v} {name}({v}, {v}, {v})")
        return self.code.let(f"call {v} {name}({v} {a}, {v} {a}, {v} splat (i64 {bits}))")

    def as_double(self, bits: str) -> str:
        return self.code.let(f"bitcast {self.code.integers} {bits} to {self.code.type}")

    def as_integer(self, value: str) -> str:
        return self.code.let(f"bitcast {self.code.type} {value} to {self.code.integers}")

    def below(self, bits: str, n: int) -> str:
        """An integer below n from the upper 32 bits; odds differ by n/2³² at most, and not at all for powers of 2."""
        return self.integer("lshr", self.integer("mul", self.integer("lshr", bits, 32), n), 32)

    def sign(self, bits: str) -> str:
        """±1 from the lowest bit."""
        return self.as_double(self.integer("or", self.integer("shl", bits, 63), BITS_OF_ONE))

    def from_one_to_two(self, bits: str) -> str:
        """A number in [1, 2) from the upper 52 bits."""
        return self.as_double(self.integer("or", self.integer("lshr", bits, 12), BITS_OF_ONE))

    def normals(self) -> tuple[str, str]:
        """Two independent standard normal numbers.

        θ is drawn in [−π/4, π/4); two more bits exchange sine and cosine, and turn the cosine round.
        """
        code = self.code
        uniform = code.operation("sub", code.constant(2.0), self.from_one_to_two(self.draw()))  # (0, 1]
        length = code.intrinsic("sqrt", code.operation("mul", code.constant(-2.0), self._logarithm(uniform)))
        bits = self.draw()
        turn = code.operation("sub", self.from_one_to_two(bits), code.constant(1.5))
        cosine, sine = self._circle(code.operation("mul", turn, code.constant(math.pi / 2)))
        cosine = code.operation("mul", cosine, self.sign(bits))
        exchange = code.let(f"icmp ne {code.integers} {self.integer('and', bits, 2)}, splat (i64 0)")
        first, second = code.select(exchange, sine, cosine), code.select(exchange, cosine, sine)
        return code.operation("mul", length, first), code.operation("mul", length, second)

    def _logarithm(self, u: str) -> str:
        """ln u = e ln 2 + 2 artanh((m − 1)/(m + 1)), u = m 2^e with √½ ≤ m < √2."""
        code, bits = self.code, self.as_integer(u)
        exponent = self.integer("ashr", self.integer("sub", bits, BITS_OF_ROOT_HALF), 52)
        m = self.as_double(self.integer("sub", bits, self.integer("shl", exponent, 52)))
        e = code.let(f"sitofp {code.integers} {exponent} to {code.type}")
        one = code.constant(1.0)
        s = code.operation("div", code.operation("sub", m, one), code.operation("add", m, one))
        series = self._horner(code.operation("mul", s, s), [Fraction(2, 2 * k + 1) for k in range(LOGARITHM_TERMS)])
        return code.multiply_add(e, code.constant(math.log(2)), code.operation("mul", s, series))

    def _circle(self, angle: str) -> tuple[str, str]:
        code, square = self.code, self.code.operation("mul", angle, angle)
        sine = [Fraction((-1) ** k, math.factorial(2 * k + 1)) for k in range(SINE_TERMS)]
        cosine = [Fraction((-1) ** k, math.factorial(2 * k)) for k in range(COSINE_TERMS)]
        return self._horner(square, cosine), code.operation("mul", angle, self._horner(square, sine))

    def _horner(self, x: str, coefficients: Sequence[Fraction]) -> str:
        value = self.code.constant(float(coefficients[-1]))
        for c in reversed(coefficients[:-1]):
            value = self.code.multiply_add(value, x, self.code.constant(float(c)))
        return value

    def look_up(self, column: Sequence[float], index: str, name: str) -> str:
        """column[index] in each lane; `name` is the global that holds the column where it is read from memory."""
        odd = [k for k, value in enumerate(column) if value != 0]
        if len(odd) == 1:
            return self.code.select(
                self._equals(index, odd[0]), self.code.constant(column[odd[0]]), self.code.constant(0.0)
            )
        if len(column) <= SELECTED:
            return self._selected(column, index)
        code, w = self.code, self.code.width
        places = code.let(f"getelementptr double, ptr {name}, {code.integers} {index}")
        code.declarations.add(
            f"declare {code.type} @llvm.masked.gather.v{w}f64.v{w}p0(<{w} x ptr>, <{w} x i1>, {code.type})"
        )
        return code.let(
            f"call {code.type} @llvm.masked.gather.v{w}f64.v{w}p0(<{w} x ptr> align 8 {places}, "
            f"<{w} x i1> splat (i1 true), {code.type} poison)"
        )

    def _equals(self, index: str, k: int) -> str:
        return self.code.let(f"icmp eq {self.code.integers} {index}, splat (i64 {k})")

    def _selected(self, column: Sequence[float], index: str) -> str:
        """Halves are chosen by the bits of the index, the lowest first."""
        values, bit = [self.code.constant(v) for v in column], 1
        while len(values) > 1:
            mask = self.code.let(f"icmp ne {self.code.integers} {self.integer('and', index, bit)}, splat (i64 0)")
            pairs = [values[k : k + 2] for k in range(0, len(values), 2)]
            values = [p[0] if len(p) == 1 or p[0] == p[1] else self.code.select(mask, p[1], p[0]) for p in pairs]
            bit *= 2
        return values[0]
