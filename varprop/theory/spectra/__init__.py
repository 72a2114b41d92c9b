"""Spectra of input-output Jacobians by free probability."""

from varprop.theory.spectra.spectrum import JacobianSpectrum, jacobian_spectrum

__all__ = ["JacobianSpectrum", "jacobian_spectrum"]
