"""Great Expectations on frames, in an ephemeral context: nothing is stored or sent.

Belongs here: asking one expectation of one frame.
Does not belong here: what is expected (`expectations`).
"""

import logging
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
        from great_expectations import data_context
        from great_expectations.data_context.types.base import ProgressBarsConfig

        # This one sets its own level, and tells of a temporary folder.
        logging.getLogger(data_context.types.base.__name__).setLevel(logging.WARNING)
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        asset = context.data_sources.add_pandas("published").add_dataframe_asset("table")
        self.batches = asset.add_batch_definition_whole_dataframe("whole")

    def holds(self, frame: pd.DataFrame, expectation: Any) -> bool:
        """Whether the frame is as expected; one without rows never is."""
        if frame.empty:
            return False
        batch = self.batches.get_batch({"dataframe": frame})
        return bool(batch.validate(expectation).success)
