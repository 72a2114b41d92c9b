"""The conditional engine: dense networks without their weights, exact in law at finite width.

Let V (k, n) hold the vectors that enter a dense layer, values and tangents of all inputs, and
E (k, n) orthonormal rows with V = L E. What the network does with a weight W (m, n) is H = V W' on
the way forward and W'd on the way back, so only these are drawn, at O(n) a layer and draw:

    Gaussian, iid N(0, s^2)    W E' = s N',  H = s L N,       N (k, m) of iid N(0, 1)
                               W'd | N  =  s E' N d + (I - E'E) w,   w ~ N(0, s^2 |d|^2 I)

Proof: the entries of W E' and of W (I - E'E) are uncorrelated, hence independent, and W'd splits as
E'(W E')'d + (I - E'E) W'd. In terms of V and H the first part is V' (V V')^+ H d.

    Haar, W = gain O (m = n)   H = gain L N,                  N (k, n) a uniform orthonormal frame
                               W'd | N  =  gain (E' N d + F' |d - N'N d|),
                               F uniform on the unit sphere of the complement of the rows of E

Proof: O R has the law of O for every rotation R that fixes E, so given N = E O' the vector
O'(d - N'N d), whose length is known, is uniform in that complement. A rectangular Haar weight is
the corner of a square one of size max(m, n): pad with zeros, apply, crop. For several d, lengths
become triangular factors of Gram matrices and F a uniform frame.

All of W that a network ever sees is drawn once, so every joint law of values, tangents, gradients
and weight gradients (d x') is that of real weights; u.(J t) = (J'u).t holds in each draw.
"""

from varprop.montecarlo.conditional.run import BLOCK, block_size, run_block, why_not

__all__ = ["BLOCK", "block_size", "run_block", "why_not"]
