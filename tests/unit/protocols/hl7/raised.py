"""Finds in source code the sentences that HL7Error is raised with, also through functions that pass one on."""

import ast
from collections.abc import Iterator
from pathlib import Path

SENTENCE = 2
"""Which argument of HL7Error the sentence is."""


def sentences_in(path: Path) -> Iterator[str]:
    """Every sentence that `path` raises, a 0 where something varies; AssertionError for one that can't be told."""
    tree = ast.parse(path.read_text("utf-8"))
    yield from _passed_to("HL7Error", SENTENCE, "sentence", tree)
    for errors in (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_hl7_error(node)):
        for call in ast.walk(errors):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "__init__":
                yield from _meaning(call.args[SENTENCE], _function_around(call, tree), tree)


def _is_hl7_error(node: ast.ClassDef) -> bool:
    return any(isinstance(base, ast.Name) and base.id == "HL7Error" for base in node.bases)


def _passed_to(name: str, place: int, keyword: str, tree: ast.Module) -> Iterator[str]:
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name:
            named = [given.value for given in call.keywords if given.arg == keyword]
            yield from _meaning(named[0] if named else call.args[place], _function_around(call, tree), tree)


def _meaning(node: ast.expr, function: ast.FunctionDef | None, tree: ast.Module) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "0" for part in parts)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _meaning(body, function, tree)
            yield from _meaning(orelse, function, tree)
        case ast.Name(id=name):
            yield from _of_name(name, function, tree)
        case _:
            raise AssertionError(f"a sentence that can't be told: line {node.lineno}: {ast.unparse(node)}")


def _of_name(name: str, function: ast.FunctionDef | None, tree: ast.Module) -> Iterator[str]:
    parameters = [argument.arg for argument in function.args.args] if function else []
    if function and name in parameters:
        place = parameters.index(name) - (parameters[0] in ("self", "cls"))
        yield from _passed_to(function.name, place, name, tree)
        return
    scope: ast.AST = function or tree
    values = _assigned(name, scope) or _assigned(name, tree)
    assert values, f"nothing is assigned to {name}"
    for value in values:
        yield from _meaning(value, function, tree)


def _assigned(name: str, scope: ast.AST) -> list[ast.expr]:
    found = (node for node in ast.walk(scope) if isinstance(node, ast.Assign))
    return [node.value for node in found if any(isinstance(to, ast.Name) and to.id == name for to in node.targets)]


def _function_around(call: ast.AST, tree: ast.Module) -> ast.FunctionDef | None:
    around = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and call in ast.walk(node)]
    return around[-1] if around else None
