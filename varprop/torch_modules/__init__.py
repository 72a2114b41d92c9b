"""A torch.nn.Module of one's own as a `Network`, and its real weights as a `Sample`."""

from varprop.torch_modules.measure import measure
from varprop.torch_modules.trace import TracedNetwork, trace

__all__ = ["TracedNetwork", "measure", "trace"]
