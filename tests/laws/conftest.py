"""The truncated normal at 50 digits by quadrature in mpmath: the reference of this folder."""

from typing import NamedTuple

import mpmath
import pytest

REACH = 420  # the density below e^-420 of its maximum is left out


class Reference(NamedTuple):
    """Moments of N(mean, std^2) given low <= w <= high; central and absolute ones, k = 2 to 6."""

    mean: mpmath.mpf
    central: tuple[mpmath.mpf, ...]
    absolute: tuple[mpmath.mpf, ...]
    log_mass: mpmath.mpf


def reference(mean: float, std: float, low: float, high: float) -> Reference:
    with mpmath.workdps(50):
        m, s, a, b = map(mpmath.mpf, (mean, std, low, high))
        alpha, beta = (a - m) / s, (b - m) / s
        mode = min(max(mpmath.mpf(0), alpha), beta)
        reach = 2 * REACH / (abs(mode) + mpmath.sqrt(mode**2 + 2 * REACH))
        start, stop = max(alpha - mode, -reach), min(beta - mode, reach)
        half = mpmath.mpf(1) / 2
        # offsets x from the mode, in units of the window: all terms of a size near one
        size = stop - start
        edges = mpmath.linspace(0, 1, 7 if size > 3 or abs(mode) * size > 3 else 2)

        def x(u: mpmath.mpf) -> mpmath.mpf:
            return start + size * u

        def integral(function) -> mpmath.mpf:
            return mpmath.quad(
                lambda u: function(u) * mpmath.exp(-x(u) * (x(u) * half + mode)), edges
            )

        total = integral(lambda u: 1)
        centre = integral(lambda u: u) / total
        scaled = [integral(lambda u, k=k: (u - centre) ** k) / total for k in range(7)]
        sizes = scaled[:]
        for k in (3, 5):
            sizes[k] = integral(lambda u, k=k: abs(u - centre) ** k) / total
        return Reference(
            m + s * (mode + start + size * centre),
            tuple(c * (s * size) ** k for k, c in enumerate(scaled)),
            tuple(c * (s * size) ** k for k, c in enumerate(sizes)),
            mpmath.log(total * size) - mode**2 * half - mpmath.log(2 * mpmath.pi) * half,
        )


@pytest.fixture(name="reference", scope="session")
def reference_fixture():
    return reference
