"""Tidy tables, their JSON form, and line plots by node; knows nothing of networks."""

from varprop.results.table import COLUMNS, Result, Row, Saved

__all__ = ["COLUMNS", "Result", "Row", "Saved"]
