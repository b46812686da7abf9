"""A method of one's own; importing it registers it."""

from .method import ShrunkenMean

__all__ = ["ShrunkenMean"]
