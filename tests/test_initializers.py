"""Laws against independent references, samplers and torch's own initializers against the laws.

One statistical test serves all: N independent entries, their centred powers 1, 2 and 4 against the
exact moments, each at a standard error from the exact moment of twice the order. An entry is taken
from every position where entries are iid, else from one random position of each matrix.
"""

import inspect
import math
import pickle
from collections.abc import Iterator

import mpmath
import numpy as np
import pytest
import scipy.stats
import sympy
import torch
from scipy.optimize import brentq
from torch import nn

from varprop import initializers, laws
from varprop.initializers import EXAMPLES, INITIALIZERS, Initializer, fans, get
from varprop.initializers.fans import GAINS

FAN_IN, FAN_OUT = 8, 12  # different, so that one for the other is a fault; multiples of the kernel
ERROR_RATE = 1e-6  # of each of the three tests made of one sample
N = 200_000

n, m, s, a = sympy.symbols("n m s a", positive=True)
mu = sympy.Symbol("mu", real=True)


def law_of(example: Initializer) -> laws.Law:
    arguments = dict(example.arguments)
    taps = math.prod(arguments.get("kernel", ()))
    return example.at(FAN_IN, FAN_OUT, rows=FAN_OUT * arguments.get("groups", 1) // taps)


def shape_of(law: laws.Law) -> tuple[int, int]:
    return int(getattr(law, "rows", FAN_OUT)), int(getattr(law, "cols", FAN_IN))


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """QR of thousands of tiny matrices: more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


every_example = pytest.mark.parametrize("example", EXAMPLES, ids=str)


def threshold(skewness: float, count: int) -> float:
    """|z| passed by a mean of `count` terms with probability ERROR_RATE.

    The tail is the normal one with Cramer's first correction exp(skewness z^3 / (6 sqrt(count))).
    """
    bend = abs(skewness) / (6 * math.sqrt(count))

    def excess(z: float) -> float:
        return scipy.stats.norm.logsf(z) + bend * z**3 - math.log(ERROR_RATE / 2)

    return brentq(excess, 1.0, min(20.0, 1 / (3 * bend)) if bend else 20.0)


def departure(law: laws.Law, w: torch.Tensor) -> float:
    """Largest |z| / threshold over the centred powers 1, 2, 4 of independent entries; 1 rejects."""
    c = {k: float(law.central_moment(k)) for k in (1, 2, 3, 4, 6, 8, 12)}
    x = w.double().flatten() - float(law.mean)
    worst = 0.0
    for k in (1, 2, 4):
        variance = c[2 * k] - c[k] ** 2
        gap = abs(float((x**k).mean()) - c[k])
        if variance <= 1e-12 * c[2 * k]:  # |w - mean| is one value, whose power has no noise
            worst = max(worst, gap / (1e-5 * c[k] or 1e-6))
            continue
        third = c[3 * k] - 3 * c[2 * k] * c[k] + 2 * c[k] ** 3
        z = gap / math.sqrt(variance / x.numel())
        worst = max(worst, z / threshold(third / variance**1.5, x.numel()))
    return worst


def evidence(law: laws.Law, w: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Independent entries of a stack of matrices."""
    if law.independent:
        return w
    w = w.flatten(0, -3)
    places = torch.randint(w[0].numel(), (len(w), 1), generator=generator)
    return w.flatten(1).gather(1, places)


def structure_holds(law: laws.Law, w: torch.Tensor) -> bool:
    """What is certain of each matrix: orthonormality, counts of zeros, each entry."""
    if isinstance(law, laws.Orthogonal):
        short = w if w.shape[-2] <= w.shape[-1] else w.mT
        target = float(law.gain) ** 2 * torch.eye(short.shape[-2], dtype=w.dtype)
        return bool(((short @ short.mT - target).abs() < 1e-5).all())
    if isinstance(law, laws.Sparse):
        return bool(((w == 0).sum(-2) == int(law.zeros)).all())
    if isinstance(law, laws.Dirac):
        return torch.equal(w, law.sample(tuple(w.shape), generator=torch.Generator()))
    return True


def draws_of(law: laws.Law) -> int:
    return N // math.prod(shape_of(law)) if law.independent else 40_000


# --- moments ---------------------------------------------------------------------------------


def reference_moment(law: laws.Law, k: int) -> float:
    """E w^k by a route that shares nothing with the law's formula."""
    match law:
        case laws.Normal():
            return scipy.stats.norm(float(law.mean), math.sqrt(law.variance)).moment(k)
        case laws.Uniform():
            low, high = float(law.low), float(law.high)
            return scipy.stats.uniform(low, high - low).moment(k)
        case laws.TruncatedNormal():
            low, high, loc, scale = map(float, (law.low, law.high, law.loc, law.scale))
            low, high = max(low, loc - 12 * scale), min(high, loc + 12 * scale)
            points = np.linspace(low, high, 13).tolist()

            def integral(power: int) -> mpmath.mpf:
                return mpmath.quad(lambda x: x**power * mpmath.npdf(x, loc, scale), points)

            return float(integral(k) / integral(0))
        case laws.Rademacher():
            return float(np.mean([float(law.scale) ** k, (-float(law.scale)) ** k]))
        case laws.Laplace():
            b = math.sqrt(law.variance / 2)
            if k % 2:
                return 0.0
            return b**k * float(mpmath.quad(lambda x: x**k * mpmath.exp(-x), [0, 5, 20, 60, 120]))
        case laws.Constant():
            return float(law.value) ** k
        case laws.Orthogonal():  # w^2 / gain^2 ~ Beta(1/2, (N - 1)/2), the sign is free
            beta = scipy.stats.beta(0.5, (max(shape_of(law)) - 1) / 2)
            return 0.0 if k % 2 else float(law.gain) ** k * beta.moment(k // 2)
        case laws.Sparse():
            kept = 1 - math.ceil(float(law.sparsity) * int(law.rows)) / int(law.rows)
            return kept * scipy.stats.norm(0, float(law.std)).moment(k)
        case laws.Dirac():
            rows, cols = shape_of(law)
            taps = math.prod(law.kernel)
            if law.kernel:
                w = nn.init.dirac_(torch.empty(rows, cols // taps, *law.kernel), law.groups)
            else:
                w = nn.init.eye_(torch.empty(rows, cols))
            return float((w**k).mean())
    raise NotImplementedError(law)


@every_example
def test_moments_match_an_independent_reference(example: Initializer) -> None:
    law = law_of(example)
    for k in range(1, 9):
        scale = float(law.moment(k + k % 2)) ** (k / (k + k % 2))  # size of |w|^k, also for odd k
        assert float(law.moment(k)) == pytest.approx(
            reference_moment(law, k),
            rel=1e-6 if isinstance(law, laws.Dirac) else 1e-11,
            abs=1e-12 * scale,
        )


@every_example
def test_derived_numbers_follow_from_the_raw_moments(example: Initializer) -> None:
    law = law_of(example)
    m1, m2, m3, m4 = (law.moment(k) for k in (1, 2, 3, 4))
    assert law.moment(0) == 1
    assert float(law.mean) == pytest.approx(float(m1), abs=1e-15)
    assert float(law.variance - (m2 - m1**2)) == pytest.approx(0, abs=1e-14)
    if float(m2 - m1**2) < 1e-14:
        assert law.kurtosis is sympy.nan
    else:
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        assert float(law.kurtosis) == pytest.approx(float(fourth / (m2 - m1**2) ** 2), rel=1e-9)


@every_example
def test_flags_are_true(example: Initializer) -> None:
    law = law_of(example)
    odd = [float(law.moment(k)) for k in (1, 3, 5, 7)]
    assert law.symmetric == (max(map(abs, odd)) < 1e-15)
    assert law.gaussian == isinstance(law, laws.Normal)
    assert law.independent != isinstance(law, laws.Orthogonal | laws.Sparse | laws.Dirac)


def test_symbolic_moments_are_the_integrals() -> None:
    x = sympy.Symbol("x", real=True)
    normal, uniform = laws.Normal(mu, s**2 / n), laws.Uniform(-a, a)
    density = sympy.exp(-((x - mu) ** 2) * n / (2 * s**2)) * sympy.sqrt(n / (2 * sympy.pi * s**2))
    for k in range(5):
        integral = sympy.integrate(x**k * density, (x, -sympy.oo, sympy.oo))
        assert sympy.simplify(integral - normal.moment(k)) == 0
        integral = sympy.integrate(x**k / (2 * a), (x, -a, a))
        assert sympy.simplify(integral - uniform.moment(k)) == 0


def test_symbolic_laws_read_as_formulas() -> None:
    assert laws.Normal(0, s**2 / n).variance == s**2 / n
    assert laws.Normal(mu, s**2 / n).kurtosis == 3
    assert laws.Uniform(mu, mu + a).kurtosis == sympy.Rational(9, 5)
    assert laws.Laplace(s**2).kurtosis == 6
    assert laws.Rademacher(s).kurtosis == 1
    assert laws.Orthogonal(s, n, n).variance == s**2 / n
    assert laws.Orthogonal(1, n, n).central_moment(4) == 3 / (n * (n + 2))
    assert get("xavier_uniform").at(n, m).variance == 2 / (n + m)
    assert get("variance_scaling").at(n, m).variance == 1 / n
    assert get("he_normal").at(n, m).variance == 2 / n
    assert get("torch_default_weight").at(n, m).variance == 1 / (3 * n)
    assert get("torch_default_in_proj").at(n, 3 * n).variance == 1 / (2 * n)


def test_truncated_normal_constants() -> None:
    def law(c: int) -> laws.TruncatedNormal:
        return laws.TruncatedNormal(0, 1, -c, c)

    # Keras and JAX write out the first one; to as many digits as they do.
    assert str(sympy.sqrt(law(2).variance).evalf(20)) == "0.87962566103423975041"
    stds = [float(sympy.sqrt(law(c).variance)) for c in (1, 3)]
    assert stds == pytest.approx([0.539560, 0.986578], abs=5e-7)
    kurtoses = [float(law(c).kurtosis) for c in (1, 2, 3)]
    assert kurtoses == pytest.approx([1.9409, 2.36554, 2.82889], abs=5e-5)


def test_truncated_normal_keeps_its_digits_in_tails_and_narrow_windows() -> None:
    with mpmath.workdps(40):
        for low, high in ((40, 41), (-41, -40), (-1e-6, 1e-6), (0, 1e-4)):
            moments = [
                mpmath.quad(
                    lambda x, k=k, low=low, high=high: (
                        x**k * mpmath.exp(-(x**2 - min(low**2, high**2)) / 2)
                    ),
                    mpmath.linspace(mpmath.mpf(str(low)), mpmath.mpf(str(high)), 40),
                )
                for k in range(3)
            ]
            mean = moments[1] / moments[0]
            variance = moments[2] / moments[0] - mean**2
            law = laws.TruncatedNormal(0, 1, low, high)
            assert float(law.variance) == pytest.approx(float(variance), rel=1e-12)


def test_floats_are_read_as_decimals() -> None:
    assert laws.Normal(0, 0.02).variance == sympy.Rational(1, 50)
    assert laws.Normal(0, 0.5 * s**2).variance == s**2 / 2
    assert laws.Normal(0, np.float64(0.1)).variance == sympy.Rational(1, 10)
    value = float(np.random.default_rng(0).random())
    assert float(laws.Constant(value).mean) == value


# --- samplers --------------------------------------------------------------------------------


@every_example
@pytest.mark.statistical
def test_sampler_follows_its_law(example: Initializer, generator: torch.Generator) -> None:
    law = law_of(example)
    w = law.sample((draws_of(law), *shape_of(law)), generator=generator)
    assert w.dtype == torch.float32
    assert departure(law, evidence(law, w, generator)) < 1
    fine = law.sample((100, *shape_of(law)), generator=generator, dtype=torch.float64)
    assert structure_holds(law, fine)  # a float32 normal is exactly 0 once in some 2^24 draws


@every_example
@pytest.mark.statistical
def test_leading_axes_are_independent(example: Initializer, generator: torch.Generator) -> None:
    law = law_of(example)
    w = law.sample((2, 10_000, *shape_of(law)), generator=generator, dtype=torch.float64)
    if float(law.variance) == 0 or isinstance(law, laws.Dirac):
        assert bool((w == w[0, 0]).all())
        return
    centred = (w - float(law.mean)).flatten(2)
    products = (centred[0] * centred[1])[:, 0]  # one per pair of matrices
    z = float(products.mean()) * math.sqrt(len(products)) / float(law.variance)
    skewness = float(law.central_moment(3)) ** 2 / float(law.variance) ** 3
    assert abs(z) < threshold(skewness, len(products))
    assert not torch.equal(w[0], w[1])


@every_example
def test_sampler_is_reproducible_and_rounds_once(example: Initializer, seed: int) -> None:
    law = law_of(example)

    def sample(dtype: torch.dtype) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return law.sample((2, 3, *shape_of(law)), generator=generator, dtype=dtype)

    w = sample(torch.float32)
    assert w.shape == (2, 3, *shape_of(law))
    assert torch.equal(w, sample(torch.float32))
    assert torch.equal(w.bfloat16(), sample(torch.bfloat16))
    assert sample(torch.float64).dtype == torch.float64


@pytest.mark.statistical
@pytest.mark.parametrize("rows, cols", [(6, 6), (4, 8), (8, 4)])
def test_orthogonal_is_haar(rows: int, cols: int, generator: torch.Generator) -> None:
    """E O_11 ... vanish and, for a square matrix, E tr Q = 0 and E (tr Q)^2 = 1.

    Without the sign fix E tr Q is near -1.6 at size 8. (tr Q)^2 has variance 2, that of a chi
    square with one degree: the moments of tr Q up to order 2 size + 1 are those of a normal.
    """
    law = laws.Orthogonal(1, rows, cols)
    w = law.sample((20_000, rows, cols), generator=generator)
    corner = w[:, 0, 0]
    assert departure(law, corner) < 1
    trace = w.diagonal(dim1=-2, dim2=-1).sum(-1).double()
    if rows == cols:
        assert departure(laws.Normal(0, 1), trace) < 1
        unsigned = torch.linalg.qr(torch.randn(w.shape, generator=generator)).Q
        biased = unsigned.diagonal(dim1=-2, dim2=-1).sum(-1)
        assert departure(laws.Normal(0, 1), biased) > 1


@pytest.mark.statistical
def test_truncated_sampler_in_a_tail_and_off_centre(generator: torch.Generator) -> None:
    for law in (
        laws.TruncatedNormal(0, 1, 5, 7),
        laws.TruncatedNormal(0, 1, -9, -6),
        laws.TruncatedNormal(3, 2, -1, 2),
        laws.TruncatedNormal(0, 1, -1e-3, 1e-3),
    ):
        w = law.sample((N,), generator=generator, dtype=torch.float64)
        low, high = float(law.low), float(law.high)
        assert bool(((w > low) & (w < high)).all())  # no atoms at the bounds
        assert departure(law, w) < 1


# --- torch's own -----------------------------------------------------------------------------

in_torch = [e for e in EXAMPLES if hasattr(nn.init, e.name + "_")]
in_torch = [e for e in in_torch if "variance" not in dict(e.arguments)]


def torch_draws(example: Initializer, generator: torch.Generator) -> torch.Tensor:
    """Matrices (..., rows, fan_in) filled by torch.nn.init itself."""
    law, arguments = law_of(example), dict(example.arguments)
    rows, cols = shape_of(law)
    kernel = arguments.pop("kernel", ())
    fill = getattr(nn.init, example.name + "_")
    if not isinstance(law, laws.Constant | laws.Dirac):
        arguments["generator"] = generator
    count = 1500
    shape = (rows, cols // math.prod(kernel), *kernel)
    return torch.stack(
        [fill(torch.empty(shape, dtype=torch.float64), **arguments) for _ in range(count)]
    ).reshape(count, rows, cols)


def agree(law: laws.Law, w: torch.Tensor, generator: torch.Generator) -> bool:
    if isinstance(law, laws.Sparse) and structure_holds(law, w):
        return departure(laws.Normal(0, law.std**2), w[w != 0]) < 1
    return structure_holds(law, w) and departure(law, evidence(law, w, generator)) < 1


@pytest.mark.parametrize("example", in_torch, ids=str)
@pytest.mark.statistical
def test_torch_follows_our_law_and_a_planted_fault_does_not(
    example: Initializer, generator: torch.Generator
) -> None:
    law, w = law_of(example), torch_draws(example, generator)
    assert agree(law, w, generator)
    if law.mean == 0 and law.variance == 0:
        assert not agree(law, w + 0.03, generator)
    else:
        assert not agree(law, 1.03 * w, generator)


@pytest.mark.parametrize("example", in_torch, ids=str)
def test_names_and_defaults_are_torchs(example: Initializer) -> None:
    ours = inspect.signature(INITIALIZERS[example.name]).parameters
    theirs = inspect.signature(getattr(nn.init, example.name + "_")).parameters
    for name, parameter in theirs.items():
        if name not in ("tensor", "generator"):
            assert ours[name].default == parameter.default


def test_every_torch_initializer_is_here() -> None:
    public = {name[:-1] for name in nn.init.__all__ if name.endswith("_")}
    assert public <= set(INITIALIZERS)


def test_gains_are_torchs() -> None:
    for name in (*GAINS, "leaky_relu"):
        assert float(initializers.calculate_gain(name)) == nn.init.calculate_gain(name)
    assert initializers.calculate_gain("leaky_relu", s) == sympy.sqrt(2 / (1 + s**2))


E_DIM = 96
LAYER_DEFAULTS = {  # our law, torch's tensor
    "linear weight": ("torch_default_weight", lambda: nn.Linear(256, 800).weight),
    "linear bias": ("torch_default_bias", lambda: nn.Linear(256, 100_000).bias),
    "conv weight": (
        "torch_default_weight",
        lambda: nn.Conv2d(64, 512, 3, groups=2, bias=False).weight,
    ),
    "conv bias": ("torch_default_bias", lambda: nn.Conv2d(2, 60_000, 3, groups=2).bias),
    "embedding": ("torch_default_embedding", lambda: nn.Embedding(2000, 100).weight),
    "lstm input": (
        initializers.torch_default_recurrent(hidden=128),
        lambda: nn.LSTM(400, 128).weight_ih_l0,
    ),
    "gru hidden": (
        initializers.torch_default_recurrent(hidden=256),
        lambda: nn.GRU(9, 256).weight_hh_l0,
    ),
    "bilinear": (
        initializers.torch_default_bilinear(in1=40),
        lambda: nn.Bilinear(40, 90, 50).weight,
    ),
    "attention": (
        "torch_default_in_proj",
        lambda: torch.stack([nn.MultiheadAttention(E_DIM, 4).in_proj_weight for _ in range(8)]),
    ),
    "attention out": (
        "torch_default_weight",
        lambda: nn.MultiheadAttention(384, 4).out_proj.weight,
    ),
}
FAN_INS = {"linear bias": 256, "conv weight": 288, "conv bias": 9, "attention": E_DIM}


@pytest.mark.parametrize("layer", LAYER_DEFAULTS)
@pytest.mark.statistical
def test_torch_layers_follow_our_defaults(layer: str) -> None:
    initializer, make = LAYER_DEFAULTS[layer]
    w = make().detach()
    fan_in = FAN_INS.get(layer, w.shape[-1])
    law = get(initializer).at(fan_in, 7)
    assert departure(law, w) < 1
    assert departure(law, 1.03 * w) > 1
    assert departure(law, w / 1.03) > 1


@pytest.mark.statistical
def test_fan_out_for_fan_in_is_noticed(generator: torch.Generator) -> None:
    w = nn.init.kaiming_normal_(torch.empty(400, 380), mode="fan_out", generator=generator)
    assert departure(initializers.kaiming_normal(mode="fan_out").at(380, 400), w) < 1
    assert departure(initializers.kaiming_normal(mode="fan_in").at(380, 400), w) > 1


# --- fans, names, messages -------------------------------------------------------------------


def test_fans_are_those_of_the_layer() -> None:
    for layer in (nn.Linear(5, 7), nn.Conv2d(6, 8, (3, 5)), nn.Conv1d(6, 8, 3)):
        assert fans(tuple(layer.weight.shape)) == nn.init._calculate_fan_in_and_fan_out(
            layer.weight
        )
    conv = nn.Conv2d(6, 8, 3, groups=2, padding=2, bias=False)
    # naive count: terms in one output, outputs that one input enters
    with torch.no_grad():
        conv.weight.fill_(1)
    x = torch.zeros(1, 6, 5, 5)
    terms = conv(torch.ones(1, 6, 5, 5)).max()
    x[0, 0, 2, 2] = 1
    assert fans(tuple(conv.weight.shape), groups=2) == (int(terms), int(conv(x).sum()))
    assert fans((n, m, 3, 3)) == (9 * m, 9 * n)


def test_every_initializer_has_an_example() -> None:
    assert {example.name for example in EXAMPLES} == set(INITIALIZERS)


@every_example
def test_initializers_print_compare_and_travel(example: Initializer) -> None:
    assert eval(str(example), dict(INITIALIZERS)) == example
    again = pickle.loads(pickle.dumps(example))
    assert again == example and hash(again) == hash(example)
    assert get(example) is example
    assert INITIALIZERS[example.name].__doc__


def test_str_states_the_arguments() -> None:
    text = "kaiming_normal(a=0, mode='fan_in', nonlinearity='relu')"
    assert str(initializers.kaiming_normal(nonlinearity="relu")) == text
    assert str(initializers.normal(variance=s**2 / n)) == "normal(mean=0, variance=s**2/n)"
    assert get("kaiming_normal") == initializers.kaiming_normal()
    assert initializers.kaiming_normal().at(n, m) == initializers.kaiming_normal(
        nonlinearity="relu"
    ).at(n, m)


def test_moments_without_fans() -> None:
    assert initializers.normal(std=0.5).variance == sympy.Rational(1, 4)
    assert initializers.uniform().mean == sympy.Rational(1, 2)
    assert initializers.kaiming_normal().kurtosis == 3
    fan_in = sympy.Symbol("fan_in", positive=True)
    assert initializers.normal(variance=2 / fan_in).variance == 2 / fan_in


MISTAKES = {
    "variance of Normal must be real, finite, at least 0, got -1": lambda: laws.Normal(0, -1),
    "std must be real, finite, at least 0, got -1": lambda: initializers.normal(std=-1),
    "scale of TruncatedNormal must be real, finite, above 0, got 0": lambda: (
        initializers.trunc_normal(std=0)
    ),
    "mean of Normal must be real, finite, got nan": lambda: laws.Normal(float("nan")),
    "mean of Normal must be real, finite, got s: pass a number": lambda: laws.Normal("s"),
    "gain must be real, finite, at least 0, got inf": lambda: initializers.xavier_normal(
        gain=math.inf
    ),
    "normal takes std or variance, got both": lambda: initializers.normal(std=1, variance=1),
    "upper bound must be real, finite, at least 1, got 0: swap": lambda: initializers.uniform(1, 0),
    "upper bound must be real, finite, above 1, got 1": lambda: initializers.trunc_normal(a=1, b=1),
    "sparsity must be real, finite, above 0, below 1, got 3/2": lambda: initializers.sparse(1.5),
    "scale must be real, finite, at least 0, got -1": lambda: initializers.variance_scaling(-1),
    "mode must be a known name, got 'fan_it': did you mean fan_in": lambda: (
        initializers.variance_scaling(mode="fan_it")
    ),
    "got 'avg': did you mean fan_avg or average? choose from average": lambda: (
        initializers.msra_filler("avg")
    ),
    "distribution must be a known name, got 'norma'": lambda: initializers.variance_scaling(
        distribution="norma"
    ),
    "nonlinearity must be a known name, got 'gelu'": lambda: initializers.kaiming_normal(
        nonlinearity="gelu"
    ),
    "did you mean kaiming_normal": lambda: get("kaiming_norma"),
    "listed in varprop.initializers.INITIALIZERS": lambda: Initializer("nonsense"),
    "missing a required argument: 'sparsity': call sparse": lambda: get("sparse"),
    "fan_in must be real, finite, above 0, got 0: pass the sizes": lambda: get("ones").at(0, 3),
    "use .at(fan_in, fan_out).variance": lambda: initializers.kaiming_normal().variance,
    "fans need a weight of at least 2 axes, got shape (3,)": lambda: fans((3,)),
    "groups must divide the output channels, got groups=2": lambda: fans((3, 4), groups=2),
    "rows of Dirac must be a multiple of 2, got 3": lambda: laws.Dirac(3, 8, (2,), 2),
    "sampling needs numbers, got symbols (n, s)": lambda: laws.Normal(0, s**2 / n).sample(
        (3,), generator=torch.Generator()
    ),
    "fills matrices (..., 3, 4), got shape (4, 3)": lambda: laws.Orthogonal(1, 3, 4).sample(
        (4, 3), generator=torch.Generator()
    ),
    "can tell apart by mass, got 40 and 41 standard deviations: use a uniform": lambda: (
        laws.TruncatedNormal(0, 1, 40, 41).sample((3,), generator=torch.Generator())
    ),
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_are_answered(message: str) -> None:
    with pytest.raises(ValueError) as caught:
        MISTAKES[message]()
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [None, 0.1, True])
def test_what_is_no_name_is_refused_with_the_remedy(value):
    with pytest.raises(ValueError, match=r"or its name is needed, got .* varprop\.init"):
        get(value)
