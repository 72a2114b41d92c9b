"""Planted faults of figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

import varprop as vp


@pytest.fixture
def drawn_as(monkeypatch):
    """Networks are drawn with weights of another law than they are said to have.

    The argument takes the initializer of square layers and their width to that which is drawn.
    """

    def plant(other) -> None:
        honest = vp.simulate

        def simulate(network, **how):
            graph = vp.Graph(network.sizes[network.input])
            for node in network:
                layer = node.layer
                if isinstance(layer, vp.Dense):
                    layer = replace(layer, weights=other(layer.weights, layer.fan_in))
                if node.inputs:
                    graph.add(layer, *node.inputs)
            return replace(honest(graph.network(), **how), network=network)

        monkeypatch.setattr(vp, "simulate", simulate)

    return plant
