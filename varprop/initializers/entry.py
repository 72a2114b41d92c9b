"""Entering a rule fans -> law in the tables of initializers."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from varprop.initializers.initializer import EXAMPLES, INITIALIZERS, RULES, Fans, Initializer
from varprop.laws import Law

P = ParamSpec("P")


def entry(
    **example: Any,
) -> Callable[[Callable[Concatenate[Fans, P], Law]], Callable[P, Initializer]]:
    """Enter a rule in the tables, with an example away from its defaults: return its maker."""

    def enter(rule: Callable[Concatenate[Fans, P], Law]) -> Callable[P, Initializer]:
        name = rule.__name__
        parameters = list(inspect.signature(rule).parameters.values())[1:]
        signature = inspect.Signature(parameters, return_annotation=Initializer)

        @functools.wraps(rule)
        def make(*args: P.args, **kwargs: P.kwargs) -> Initializer:
            bound = signature.bind(*args, **kwargs)
            given = set(bound.arguments)
            bound.apply_defaults()
            if {"std", "variance"} <= given:
                raise ValueError(f"{name} takes std or variance, got both: drop one")
            unused = "std" if "variance" in given else "variance"
            return Initializer(name, tuple(x for x in bound.arguments.items() if x[0] != unused))

        make.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]
        RULES[name] = rule
        INITIALIZERS[name] = make
        if all(p.default is not p.empty for p in parameters):
            EXAMPLES.append(INITIALIZERS[name]())
        if example:
            EXAMPLES.append(INITIALIZERS[name](**example))
        return make

    return enter
