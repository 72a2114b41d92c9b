"""Verdicts: theory against measurement."""

import sys
from types import ModuleType
from typing import Any

from varprop.compare.judge import compare
from varprop.compare.report import Judged, Report
from varprop.compare.verify import draws_for, verify

__all__ = ["Judged", "Report", "compare", "draws_for", "verify"]


class _Callable(ModuleType):
    """Importing this package binds `varprop.compare` to it, where users call the function."""

    def __call__(self, *arguments: Any, **options: Any) -> Report:
        return compare(*arguments, **options)


sys.modules[__name__].__class__ = _Callable
