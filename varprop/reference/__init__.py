"""The guide and the reference of the public names as pages of HTML that need no network.

    python -m varprop.reference --out build/reference

Needs pdoc, which the extra `docs` installs.
"""
