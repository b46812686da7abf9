"""``report.html``: one page, in one file, that shows what a run found. It opens offline and runs no script.

:mod:`folder` reads a run folder, :mod:`charts` draws figures as SVG, :mod:`examples` picks held-out items and
:mod:`media` draws them, :mod:`page` puts it all into the template.
"""

from __future__ import annotations

from remodal.report.page import write_report

__all__ = ["write_report"]
