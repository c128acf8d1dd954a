"""A limiting SDE with some of its terms multiplied by rationals."""

from fractions import Fraction

from symbolic_sgd import LimitingSDE
from symbolic_sgd.algebra.program import Instruction, Output, Program


def scaled(program: Program, factors: dict[str, Fraction]) -> Program:
    """The program with some outputs multiplied by rationals: a mutant."""
    instructions, outputs = list(program.instructions), []
    for output in program.outputs:
        registers = output.registers
        if output.name in factors:
            new = []
            for register in registers:
                factor = Instruction("constant", (), factors[output.name])
                instructions.extend([factor, Instruction("mul", (len(instructions), register))])
                new.append(len(instructions) - 1)
            registers = tuple(new)
        outputs.append(Output(output.name, output.shape, registers))
    return Program(tuple(instructions), tuple(outputs))


def mutant(sde: LimitingSDE, **factors: Fraction) -> LimitingSDE:
    """The SDE with the terms named multiplied."""
    return LimitingSDE(sde.derivation.with_program(scaled(sde.program, factors)))
