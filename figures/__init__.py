"""The figures: one module each, with `parameters`, `compute` and `draw`.

    python -m figures std_by_layer --quick --out build/figures

`compute` draws networks, judges the figure's claims and returns `Results`, which are saved; `draw`
reads saved results and nothing else. A claim that is not CONFIRMED is marked where it is drawn.
`python -m figures gallery` writes README.md, which shows them all.
"""
