"""A model as files that answer without it: they need a runtime of ONNX, and neither torch nor remodal."""

from remodal.export.export import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
