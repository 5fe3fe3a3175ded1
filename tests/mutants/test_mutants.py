"""The list of mutants fits the source; ``make mutants`` runs it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_another_program(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutant.apply(source))) != ast.dump(ast.parse(source))
    assert all((ROOT / test).exists() for test in mutant.tests)


def test_there_are_enough_of_them_and_each_has_a_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 40
