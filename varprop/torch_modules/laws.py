"""Which law each linear layer of a module has: one for all, or one by path."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from varprop import initializers
from varprop.initializers import Initializer, torch_default_bias, torch_default_weight
from varprop.network import unknown

Laws = Any  # an Initializer, its name, or a mapping of paths to those; None: torch's own
DEFAULTS = {"weights": torch_default_weight(), "bias": torch_default_bias()}


class Assigned:
    """The laws of one kind of parameter, "weights" or "bias", by the path of its layer.

    A path is that of a module ("body.0") or a pattern of such ("body.*"); the first that fits
    counts, and a path as it is before any pattern.
    """

    def __init__(self, what: str, laws: Laws) -> None:
        self._what, self._used, self._met = what, set(), []
        self._all = None if laws is None or isinstance(laws, Mapping) else initializers.get(laws)
        self._by_path: dict[str, Initializer] = {}
        if isinstance(laws, Mapping):
            self._by_path = {str(path): initializers.get(law) for path, law in laws.items()}

    def at(self, path: str, default: bool) -> Initializer:
        """`default`: torch's constructor filled the layer. Raises ValueError where nothing says."""
        self._met.append(path)
        if self._all is not None:
            return self._all
        fits = [p for p in self._by_path if p == path]
        fits += [p for p in self._by_path if fnmatchcase(path, p)]
        if fits:
            self._used.add(fits[0])
            return self._by_path[fits[0]]
        if default:
            return DEFAULTS[self._what]
        raise ValueError(
            f"the law of {path!r} must be given, as no torch.nn.Linear made it; pass "
            f"{self._what}={{{path!r}: law}}, or one law for all layers"
        )

    def check_used(self) -> None:
        """Raises ValueError for a path that no layer has."""
        for pattern in self._by_path:
            if pattern not in self._used:
                raise unknown(f"path in {self._what}", pattern, dict.fromkeys(self._met))
