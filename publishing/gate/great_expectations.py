"""Great Expectations on frames, in an ephemeral context: nothing is stored or sent.

Belongs here: asking one expectation of one frame, and its finding in words.
Does not belong here: what is expected (`expectations`).
"""

import os
from typing import Any

import pandas as pd


def expectation_types() -> Any:
    """The module of Great Expectations' own expectations. 2.5 s to import: only runs need it."""
    import great_expectations.expectations as gxe

    return gxe


class Validator:
    """Asks expectations of frames."""

    def __init__(self) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("published").add_dataframe_asset("table")
        self.batches = asset.add_batch_definition_whole_dataframe("whole")

    def finding(self, frame: pd.DataFrame, expectation: Any) -> str:
        """What is wrong, with the observed value and the bounds; empty if nothing is."""
        if frame.empty and not type(expectation).__name__.startswith("ExpectTable"):
            return "no rows are left to look at"
        batch = self.batches.get_batch({"dataframe": frame})
        validation = batch.validate(expectation)
        if validation.success:
            return ""
        result = dict(validation.result or {})
        observed = result.get("observed_value")
        if named := result.get("partial_unexpected_list") if frame.columns.size == 1 else None:
            return "; ".join(map(str, named))
        if observed is None and "unexpected_percent" in result:
            observed = f"{result['unexpected_percent']:.1f} % unexpected"
        bounds = {
            key: value
            for key in ("min_value", "max_value", "mostly")
            if (value := getattr(expectation, key, None)) is not None
        }
        expected = ", ".join(f"{key} {_short(value)}" for key, value in bounds.items())
        return f"found {_short(observed)}, expected {expected}"


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
