"""Functions that become straight lines: closed forms of the lines, and integrals over a fixed box.

f = p + r with half lines p and a remainder r that is nothing beyond some reach, so

    E f f'           = E p p' + E p r' + E r p' + E r r'
    E (f - f')^2 / 2 = E (p - p')^2 / 2 + E (p - p')(r - r') + E (r - r')^2 / 2

E p p' is closed and so is the mean of p(z') given z, which leaves integrals over one or two
variables whose nodes are the same for all variances. What a bound says is negligible is left out.
A variance too small for those nodes gets nodes of its own, and there f is all remainder.
"""

from typing import Any, NamedTuple

import numpy as np

from varprop.activations import lines
from varprop.activations.lines import GONE, Pair
from varprop.activations.remainders import FEWEST, NARROW, Split, integral, narrow, split_of
from varprop.gaussian import Estimate
from varprop.gaussian.rules import density

ROUNDING = 5e-15  # of the sum of the absolute values of terms
NEGLIGIBLE = 1e-18  # of the lines' part: what is left out
SERIES, TERMS = 16.0, 72  # e^x for |x| <= SERIES from that many terms: 16^72 / 72! = 8e-18
CHUNK = 1 << 17  # values held at once: they stay in the cache


def product(f: Any, q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
    """E f(z) f(z'); its error is infinite where nodes cannot tell."""
    return _by_width(f, Pair.of(q1, q2, d), _even_product, _uneven_product)


def gap(f: Any, q1: np.ndarray, q2: np.ndarray, d: np.ndarray) -> Estimate:
    """E (f(z) - f(z'))^2 / 2; its error is infinite where nodes cannot tell."""
    return _by_width(f, Pair.of(q1, q2, d), _even_gap, _uneven_gap)


def _by_width(f: Any, pair: Pair, even: Any, uneven: Any) -> Estimate:
    """`even(split, pair)` where no Gaussian, z' given z included, is too narrow for the nodes.

    Nodes that miss all of a Gaussian do not know their error. `uneven(split, narrow, pair)` where
    one of the variances is: z has the larger one.
    """
    found, split = np.full((3, pair.d.size), np.inf), split_of(f)
    if split is None:
        return Estimate(*found)
    least = FEWEST * split.width
    larger = Pair(
        np.maximum(pair.s1, pair.s2), np.minimum(pair.s1, pair.s2), pair.d, np.abs(pair.apart)
    )
    plain = larger.s2 * pair.sine > least
    apart = ~plain & (larger.s1 * pair.sine > least) & (pair.sine > NARROW) & (larger.s2 > 0)
    if plain.any():
        found[:, plain] = even(split, pair.at(plain))
    if apart.any():
        own = narrow(f, larger.s2[apart])
        found[:, apart] = uneven(split, own, larger.at(apart))
    return Estimate(*found)


def _even_product(split: Split, pair: Pair) -> Estimate:
    flat = lines.product(split.lines, pair)
    least = NEGLIGIBLE * np.abs(flat.value)
    crossed = [_crossed(split, split.lines, one, least) for one in (pair, pair.swapped)]
    return _total(flat, *crossed, _joint(split, split, pair, least))


def _even_gap(split: Split, pair: Pair) -> Estimate:
    flat = lines.gap(split.lines, pair)
    least = NEGLIGIBLE * flat.value
    changes = [_changed(split, one, least) for one in (pair, pair.swapped)]
    return _total(flat, *changes, _minus(_joint(split, split, pair, least)))


def _uneven_product(split: Split, own: Split, pair: Pair) -> Estimate:
    crossed = _crossed(own, split.lines, pair.swapped, np.zeros(pair.d.size))
    joint = _joint(split, own, pair, NEGLIGIBLE * np.abs(crossed.value))
    return _total(crossed, joint)


def _uneven_gap(split: Split, own: Split, pair: Pair) -> Estimate:
    halves = [_half_square(split, pair.s1), _half_square(own, pair.s2)]
    return _total(*halves, _minus(_uneven_product(split, own, pair)))


def _total(*parts: Estimate) -> Estimate:
    """The sum; its size is the value, so that nothing that cancels passes for accurate."""
    value, error, size = (np.sum(part, 0) for part in zip(*parts, strict=True))
    return Estimate(value, error + ROUNDING * size, np.abs(value))


def _minus(part: Estimate) -> Estimate:
    return part._replace(value=-part.value)


def _half_square(split: Split, s: np.ndarray) -> Estimate:
    """E f(z)^2 / 2."""
    p, z, column = split.lines, split.nodes, s[:, None]
    flat = lines.product(p, Pair(s, s, 0 * s, 0 * s))
    factor = _density(z, column) * (p(z) + split.rest / 2)
    flat = Estimate(flat.value / 2, flat.error, flat.size / 2)
    return Estimate(*(a + b for a, b in zip(flat, integral(split, factor), strict=True)))


def _crossed(split: Split, p: lines.Lines, pair: Pair, least: np.ndarray) -> Estimate:
    """E r(z) p(z'), where it may exceed `least`."""
    further = split.reach * pair.s2 / pair.s1 + pair.s2
    bound = split.mass * p.largest(further) / (np.sqrt(2 * np.pi) * pair.s1)

    def rule(split: Split, pair: Pair) -> Estimate:
        z = split.nodes
        return integral(split, _density(z, pair.s1) * lines.given(p, pair, z))

    return _where(bound, least, rule, split, pair)


def _changed(split: Split, pair: Pair, least: np.ndarray) -> Estimate:
    """E r(z) (p(z) - p(z')) + r(z)^2 / 2, where it may exceed `least`."""
    p, further = split.lines, split.reach * pair.s2 / pair.s1 + pair.s2
    most = p.largest(split.reach + 0 * further) + p.largest(further) + split.most / 2
    bound = split.mass * most / (np.sqrt(2 * np.pi) * pair.s1)

    def rule(split: Split, pair: Pair) -> Estimate:
        z = split.nodes
        return integral(split, _density(z, pair.s1) * (lines.change(p, pair, z) + split.rest / 2))

    return _where(bound, least, rule, split, pair)


def _where(bound: np.ndarray, least: np.ndarray, rule: Any, split: Split, pair: Pair) -> Estimate:
    """The rule where the bound exceeds `least`; elsewhere nothing, with the bound as its error."""
    found = np.zeros((3, bound.size))
    found[1] = bound
    rows = np.flatnonzero(~(bound <= least))
    if rows.size:
        found[:, rows] = rule(split.at(rows), pair.at(rows, None))
    return Estimate(*found)


def _joint(first: Split, second: Split, pair: Pair, least: np.ndarray) -> Estimate:
    """E r1(z) r2(z'), where it may exceed `least`."""
    found, spread = np.zeros((3, pair.d.size)), pair.s1 * pair.s2 * pair.sine
    found[1] = bound = first.mass * second.mass / (2 * np.pi * spread)
    separable = np.abs(pair.c) * first.reach * second.reach <= SERIES * spread * pair.sine
    size = first.nodes.shape[-1] * second.nodes.shape[-1]
    for some, rule, cost in ((separable, _by_series, 1), (~separable, _by_grid, size)):
        rows = np.flatnonzero(some & ~(bound <= least))
        step = max(1, CHUNK // cost)
        for part in (rows[i : i + step] for i in range(0, rows.size, step)):
            found[:, part] = rule(first.at(part), second.at(part), pair.at(part, None))
    return Estimate(*found)


def _by_series(first: Split, second: Split, pair: Pair) -> Estimate:
    """By the power series of exp(c z z' / (s1 s2 sine^2)): the integrals separate."""
    a, b = (_separate(f, s * pair.sine) for f, s in ((first, pair.s1), (second, pair.s2)))
    coupling = pair.c * (a.reach / pair.s1) * (b.reach / pair.s2) / pair.sine**2
    series = np.cumprod(np.hstack([1 + 0 * coupling, coupling / np.arange(1, TERMS)]), -1)
    series /= pair.s1 * pair.s2 * pair.sine
    found = _both(
        integral(first, a.density * _sum(series * b.moments, a.powers)),
        integral(second, b.density * _sum(series * a.moments, b.powers)),
    )
    return found._replace(size=np.abs(series * a.sizes * b.sizes).sum(-1))


class _Separate(NamedTuple):
    """One side of the series: (z / reach)^k and its integrals against r and |r|."""

    reach: np.ndarray
    density: np.ndarray
    powers: np.ndarray
    moments: np.ndarray
    sizes: np.ndarray


def _separate(split: Split, s: np.ndarray) -> _Separate:
    reach = np.reshape(split.reach, (-1, 1))
    measure = density(np.clip(split.nodes / s, -GONE, GONE))
    base = np.repeat((split.nodes / reach)[..., None, :], TERMS, -2)
    base[..., 0, :] = 1.0
    powers = np.cumprod(base, -2, out=base)
    weighted = measure * split.rest * split.weights
    return _Separate(
        reach,
        measure,
        powers,
        _sum(weighted, np.swapaxes(powers, -1, -2)),
        _sum(np.abs(weighted), np.swapaxes(np.abs(powers), -1, -2)),
    )


def _sum(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """sum_j left_ij right_(i)jk, where the right one may be the same for all i."""
    if right.ndim == 2 or right.shape[0] == 1:
        return left @ right.reshape(right.shape[-2:])
    return np.matmul(left[:, None, :], right)[:, 0, :]


def _by_grid(first: Split, second: Split, pair: Pair) -> Estimate:
    """By the product of the rules, where the density is, for c > 0,

    exp(-(x^2 + y^2) / (2 (1 + c)) - c (x - y)^2 / (2 sine^2)) / (2 pi s1 s2 sine),  x = z / s1.
    """
    sign, near = np.where(pair.c > 0, 1.0, -1.0), np.minimum(pair.d, 2 - pair.d)
    x, y = first.nodes / pair.s1, sign * second.nodes / pair.s2
    sharp = np.sqrt(np.abs(pair.c) / 2) / pair.sine
    joint = np.subtract((sharp * x)[:, :, None], (sharp * y)[:, None, :])
    joint *= -joint
    np.exp(joint, out=joint)
    left, right = (np.exp(-v * v / (2 * (2 - near))) for v in (x, y))
    scale = 2 * np.pi * pair.s1 * pair.s2 * pair.sine
    along = _sum(right * second.rest * second.weights, np.swapaxes(joint, 1, 2))
    across = _sum(left * first.rest * first.weights, joint)
    return _both(integral(first, left * along / scale), integral(second, right * across / scale))


def _both(first: Estimate, second: Estimate) -> Estimate:
    """The same integral with its last step along z and along z', each with the error of that."""
    return Estimate(
        (first.value + second.value) / 2, first.error + second.error, first.size + second.size
    )


def _density(z: np.ndarray, s: np.ndarray) -> np.ndarray:
    return density(np.clip(z / s, -GONE, GONE)) / s
