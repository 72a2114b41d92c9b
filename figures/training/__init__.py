"""Training experiments: many networks of one architecture, trained together on real images.

    data = load("digits")
    runs = tuple(Run(name, vp.init.get(name), seed, rate=0.1)
                 for name in ("he_normal", "glorot_normal") for seed in range(5))
    layers = (Conv(16), Phi("relu"), MaxPool(), Dense(10))
    experiment = Experiment(layers, runs, epochs=10, batch=64)
    history = train(experiment, data, states=Path("build/states"))
    history.of("he_normal").validation_accuracy        # (5 seeds, 11 epochs)

Runs of one seed see the same batches and dropout masks and draw their weights from the same
stream, whatever their initializer: differences between initializers are to be taken by seed.
"""

from figures.training.data import Dataset, cifar10, digits, load
from figures.training.experiment import Experiment, History, Snapshot, Trained
from figures.training.layers import BatchNorm, Conv, Dense, Dropout, Layer, MaxPool, Pass, Phi
from figures.training.network import Network, Run
from figures.training.runs import train

__all__ = [
    "BatchNorm",
    "Conv",
    "Dataset",
    "Dense",
    "Dropout",
    "Experiment",
    "History",
    "Layer",
    "MaxPool",
    "Network",
    "Pass",
    "Phi",
    "Run",
    "Snapshot",
    "Trained",
    "cifar10",
    "digits",
    "load",
    "train",
]
