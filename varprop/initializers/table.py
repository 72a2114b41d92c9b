"""The table of initializers.

Each is one function: given the fans and its arguments it returns the law of a
weight entry. Calling it by name, `kaiming_normal(mode="fan_out")`, makes an `Initializer`; its law
is `.at(fan_in, fan_out)`. Names and arguments are those of torch.nn.init without the underscore,
then those of JAX, Keras and Caffe, then PyTorch's own layer defaults.
"""

from collections.abc import Callable

import sympy

from varprop import laws
from varprop.initializers.entry import entry
from varprop.initializers.fans import calculate_gain
from varprop.initializers.initializer import Fans, Initializer, choose
from varprop.initializers.scaled import centred_uniform, gained, scaled
from varprop.initializers.typical import MeanLog
from varprop.laws import Law, Scalar, exact


# torch.nn.init
@entry(a=-0.3, b=0.7)
def uniform(fans: Fans, a: Scalar = 0, b: Scalar = 1) -> Law:
    """w ~ U(a, b)."""
    return laws.Uniform(a, b)


@entry(mean=0.5, variance=0.3)
def normal(fans: Fans, mean: Scalar = 0, std: Scalar = 1, variance: Scalar = None) -> Law:
    """w ~ N(mean, std^2), or N(mean, variance) if the variance is given instead of std."""
    if variance is None:
        variance = exact("std", std, at_least=0) ** 2
    return laws.Normal(mean, variance)


@entry(mean=0.3, std=1.7, a=-1, b=2.5)
def trunc_normal(
    fans: Fans, mean: Scalar = 0, std: Scalar = 1, a: Scalar = -2, b: Scalar = 2
) -> Law:
    """w ~ N(mean, std^2) given a <= w <= b: absolute bounds, and std is that of the uncut normal.

    `variance_scaling` cuts at two standard deviations instead and restores the variance;
    `varprop.truncated_std` gives the std to pass for the one that the weights are to have.
    """
    return laws.TruncatedNormal(mean, std, a, b)


@entry(val=-0.4)
def constant(fans: Fans, val: Scalar) -> Law:
    """w = val."""
    return laws.Constant(val)


@entry()
def ones(fans: Fans) -> Law:
    """w = 1."""
    return laws.Constant(1)


@entry()
def zeros(fans: Fans) -> Law:
    """w = 0."""
    return laws.Constant(0)


@entry()
def eye(fans: Fans) -> Law:
    """W = I, cut to (rows, fan_in)."""
    return laws.Eye(fans.rows, fans.fan_in)


@entry(kernel=(2, 2), groups=2)
def dirac(fans: Fans, kernel: tuple[int, ...], groups: int = 1) -> Law:
    """Identity between channels at the centre of the kernel; the kernel's sizes must be named."""
    return laws.Dirac(fans.rows, fans.fan_in, kernel, groups)


@entry(gain=0.8)
def xavier_uniform(fans: Fans, gain: Scalar = 1) -> Law:
    """w ~ U(-r, r), r = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return gained(fans, gain, "fan_avg", "uniform")


@entry(gain=0.8)
def xavier_normal(fans: Fans, gain: Scalar = 1) -> Law:
    """w ~ N(0, 2 gain^2 / (fan_in + fan_out))."""
    return gained(fans, gain, "fan_avg", "normal")


@entry(a=0.2, mode="fan_out")
def kaiming_uniform(
    fans: Fans, a: Scalar = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """w ~ U(-r, r), r = gain sqrt(3 / fan) (He et al. 2015); a is leaky_relu's negative slope."""
    return gained(fans, calculate_gain(nonlinearity, a), mode, "uniform")


@entry(mode="fan_out", nonlinearity="tanh")
def kaiming_normal(
    fans: Fans, a: Scalar = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> Law:
    """w ~ N(0, gain^2 / fan) (He et al. 2015); a is leaky_relu's negative slope."""
    return gained(fans, calculate_gain(nonlinearity, a), mode, "normal")


@entry(gain=0.8)
def orthogonal(fans: Fans, gain: Scalar = 1) -> Law:
    """W = gain Q, Q Haar with orthonormal rows or columns: variance gain^2 / max(rows, fan_in)."""
    return laws.Orthogonal(gain, fans.rows, fans.fan_in)


@entry(gain=0.8)
def spherical(fans: Fans, gain: Scalar = 1) -> Law:
    """Rows uniform on the sphere of radius gain, as weight normalization has them at the start."""
    return laws.Spherical(gain, fans.rows, fans.fan_in)


@entry(sparsity=0.3, std=0.8)
def sparse(fans: Fans, sparsity: Scalar, std: Scalar = 0.01) -> Law:
    """N(0, std^2), but ceil(sparsity rows) zeros per column at random places (Martens 2010)."""
    return laws.Sparse(sparsity, std, fans.rows, fans.fan_in)


# JAX and Keras
@entry(scale=0.7, mode="fan_avg", distribution="uniform")
def variance_scaling(
    fans: Fans, scale: Scalar = 1, mode: str = "fan_in", distribution: str = "truncated_normal"
) -> Law:
    """Var w = scale / n, n = fan_in, fan_out or fan_avg; `distribution` has mean zero.

    truncated_normal is cut at two standard deviations, then widened to the variance stated.
    """
    return scaled(fans, scale, mode, distribution)


def _alias(name: str, scale: int, mode: str, distribution: str) -> Callable[[], Initializer]:
    def rule(fans: Fans) -> Law:
        return scaled(fans, scale, mode, distribution)

    rule.__name__ = rule.__qualname__ = name
    rule.__doc__ = f"`variance_scaling({scale}, {mode!r}, {distribution!r})`, as in JAX and Keras."
    return entry()(rule)


lecun_normal = _alias("lecun_normal", 1, "fan_in", "truncated_normal")
lecun_uniform = _alias("lecun_uniform", 1, "fan_in", "uniform")
he_normal = _alias("he_normal", 2, "fan_in", "truncated_normal")  # torch's: kaiming_normal
he_uniform = _alias("he_uniform", 2, "fan_in", "uniform")
glorot_normal = _alias("glorot_normal", 1, "fan_avg", "truncated_normal")  # xavier_normal
glorot_uniform = _alias("glorot_uniform", 1, "fan_avg", "uniform")


@entry(maxval=0.2)
def random_uniform(fans: Fans, minval: Scalar = -0.05, maxval: Scalar = 0.05) -> Law:
    """w ~ U(minval, maxval), Keras' defaults."""
    return laws.Uniform(minval, maxval)


@entry(mean=0.1)
def random_normal(fans: Fans, mean: Scalar = 0, stddev: Scalar = 0.05) -> Law:
    """w ~ N(mean, stddev^2), Keras' defaults."""
    return laws.Normal(mean, exact("stddev", stddev, at_least=0) ** 2)


# Caffe
@entry(variance_norm="average")
def xavier_filler(fans: Fans, variance_norm: str = "fan_in") -> Law:
    """w ~ U(-r, r), r = sqrt(3 / n), n = fan_in, fan_out or their average."""
    return scaled(fans, 1, variance_norm, "uniform")


@entry(variance_norm="fan_out")
def msra_filler(fans: Fans, variance_norm: str = "fan_in") -> Law:
    """w ~ N(0, 2 / n), n = fan_in, fan_out or their average."""
    return scaled(fans, 2, variance_norm, "normal")


# Laws of kurtosis 1 and 6, to see what depends on more than the variance
@entry(scale=0.7, mode="fan_avg")
def rademacher(fans: Fans, scale: Scalar = 1, mode: str = "fan_in") -> Law:
    """w = +s or -s with probability 1/2 each, s^2 = scale / n."""
    return scaled(fans, scale, mode, "rademacher")


@entry(scale=0.7, mode="fan_out")
def laplace(fans: Fans, scale: Scalar = 1, mode: str = "fan_in") -> Law:
    """Laplace law (density falling as e^(-|w|/b), 2 b^2 = variance), Var w = scale / n."""
    return scaled(fans, scale, mode, "laplace")


@entry(nonlinearity="linear")
def random_walk(fans: Fans, nonlinearity: str = "relu") -> Law:
    """w ~ N(0, g^2 / fan_in): the logarithm of the length of a layer is kept on average.

    With n outputs, g^2 = n exp(-E log chi^2), for ReLU of chi^2_B, B ~ Bin(n, 1/2), given B > 0;
    about sqrt(2) e^(1.25/n), where the mean length of the layer grows by e^(2.5/n). Source:
    Sussillo & Abbott (2014), who fit g = sqrt(2) exp(1.2 / (max(n, 6) - 2.4)).
    """
    logs = {"relu": MeanLog(fans.rows), "linear": sympy.digamma(fans.rows / 2) + sympy.log(2)}
    gain = fans.rows * sympy.exp(-choose("nonlinearity", nonlinearity, logs))
    return laws.Normal(0, gain / fans.fan_in)


# Defaults of PyTorch's layers
@entry()
def torch_default_weight(fans: Fans) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(fan_in): Linear and Conv, kaiming_uniform with a = sqrt(5)."""
    return centred_uniform(1 / (3 * fans.fan_in))


@entry()
def torch_default_bias(fans: Fans) -> Law:
    """b ~ U(-r, r), r = 1/sqrt(fan_in), of the weight in the same Linear or Conv."""
    return centred_uniform(1 / (3 * fans.fan_in))


@entry()
def torch_default_embedding(fans: Fans) -> Law:
    """w ~ N(0, 1)."""
    return laws.Normal(0, 1)


@entry(hidden=12)
def torch_default_recurrent(fans: Fans, hidden: Scalar) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(hidden): every tensor of RNN, LSTM and GRU, whatever its fans."""
    return centred_uniform(1 / (3 * exact("hidden", hidden, above=0)))


@entry(in1=12)
def torch_default_bilinear(fans: Fans, in1: Scalar) -> Law:
    """w ~ U(-r, r), r = 1/sqrt(in1): Bilinear's weight and bias; its sums have in1 in2 terms."""
    return centred_uniform(1 / (3 * exact("in1", in1, above=0)))


@entry()
def torch_default_in_proj(fans: Fans) -> Law:
    """w ~ U(-r, r), r = sqrt(6 / (E + 3E)), E = fan_in: query, key, value in MultiheadAttention.

    xavier_uniform on the packed (3E, E) weight: half the variance of three separate projections.
    """
    return gained(Fans(fans.fan_in, 3 * fans.fan_in, fans.rows), 1, "fan_avg", "uniform")
