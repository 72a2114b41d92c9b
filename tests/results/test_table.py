"""Every result: one line, a tidy table, JSON there and back, HTML, a plot."""

import json
import pickle

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import sympy as sp

import varprop as vp
from varprop.results import COLUMNS, Result

NET = vp.mlp(16, 2, activation="tanh", bias=vp.init.normal(std=0.3))


@pytest.fixture(scope="module")
def results(request):
    x = [[1.0] * 16, [0.5] * 8 + [-1.0] * 8]
    theory = vp.predict(NET, x)
    sample = vp.simulate(NET, x, draws=300, seed=1)
    return {"theory": theory, "sample": sample, "report": vp.compare(theory, sample)}


KINDS = ("theory", "sample", "report")


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_a_line_a_table_and_a_page(kind, results):
    result = results[kind]
    assert "\n" not in str(result)
    table = result.frame()
    assert list(table.columns[:4]) == list(COLUMNS[:4]) and len(table) > 10
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize("kind", KINDS)
def test_json_comes_back_as_it_was(kind, results, tmp_path):
    result = results[kind]
    text = result.to_json(tmp_path / "result.json")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    back = Result.from_json(tmp_path / "result.json")
    assert str(back) == str(result) and back.to_json() == text
    values = ["node", "quantity", "point", "value"]
    finite = result.frame()["value"].notna()
    pd.testing.assert_frame_equal(
        back.frame()[values][finite], result.frame()[values][finite], check_dtype=False
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"kind": 1}'])
def test_what_is_no_saved_result_is_refused(text):
    with pytest.raises(ValueError, match="not a result saved by to_json"):
        Result.from_json(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_plot_has_the_quantity(kind, results):
    axes = results[kind].plot("second_moment")
    assert axes.get_ylabel() == "second_moment" and len(axes.lines[0].get_xdata()) > 3
    plt.close(axes.figure)
    with pytest.raises(ValueError, match="no 'nothing' in this result; it has"):
        results[kind].plot("nothing")


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_pickled(kind, results):
    assert str(pickle.loads(pickle.dumps(results[kind]))) == str(results[kind])


def test_formulas_are_text_in_json_and_refused_in_a_plot():
    n, s = sp.symbols("n sigma", positive=True)
    net = vp.mlp(width=n, depth=2, weights=vp.init.normal(variance=s**2 / n))
    theory = vp.predict(net)
    rows = json.loads(theory.to_json())["rows"]
    assert {"sigma**4/2"} <= {row["value"] for row in rows}
    assert theory.latex("dense_2", "second_moment") == r"\frac{\sigma^{4}}{2}"
    with pytest.raises(ValueError, match="formulas"):
        theory.plot("second_moment")
