"""Experiments read out: what each variant brings beside the control, and whether that is settled.

Belongs here: the tables experiment_readouts and experiment_looks, states and words.
Does not belong here: estimators (randomised), what is read (experiment_units of dbt), where earlier
looks are kept (publishing).
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.intervals import LEVEL, rounded
from analysis.randomised import effect, mismatch, without_what_was_known

UNIT_COLUMNS = (
    "experiment_id", "unit_id", "account_id", "variant", "is_reassigned", "is_followed", "outcome",
    "n_outcomes_before", "n_contacts_before",
)  # fmt: skip
UNIT_ORDER = ("experiment_id", "unit_id")
EXPERIMENT_COLUMNS = (
    "experiment_id", "variants", "primary_outcome", "end_on", "is_declared_late", "is_changed",
    "as_of",
)  # fmt: skip
# What a look keeps of a readout.
LOOK_COLUMNS = (
    "experiment_id", "variant", "looked_on", "definition_id", "state", "n_mature", "n_events",
    "adjusted_difference", "low_always_difference", "high_always_difference",
)  # fmt: skip

DIFFERENCES = (
    "difference", "low_difference", "high_difference", "ratio", "low_ratio", "high_ratio",
    "adjusted_difference", "low_adjusted_difference", "high_adjusted_difference",
    "low_always_difference", "high_always_difference",
)  # fmt: skip
COLUMNS = (
    "experiment_id", "definition_id", "variant", "is_control", "planned_share_rate", "mismatch_p",
    "warning", "n_assigned", "n_unknown", "n_mature", "n_accounts", "n_events", "mean_outcome",
    *DIFFERENCES, "variance_reduction_rate", "n_compared", "state", "decided_on", "said",
)  # fmt: skip

# Nobody looks earlier: few accounts are not yet normal, whatever the number of looks.
MIN_EVENTS, MIN_ACCOUNTS = 5, 30
# A ratio of units this unlikely is not what was planned (Fabijan et al. 2019, KDD, 2156-2164).
MISMATCH = 0.01
# Where the outcome of more of the units is unknown, the rest need not be like them.
MAX_UNKNOWN = 0.05
WORDS = {
    "meeting_held": "meetings held", "meeting_booked": "meetings booked", "signup": "sign-ups",
    "deal_created": "deals", "deal_won": "deals won", "amount_won": "revenue won",
}  # fmt: skip


def shares_of(variants: str | None) -> dict[str, float]:
    """Variants and their shares, adding up to 1, of `standard: 50, question: 50`, in that order.

    Also of that in braces and quotes, as JSON has it. Raises ValueError saying what is wrong.
    """
    parts = [part for part in re.split(r"[,;]", (variants or "").strip(" {}")) if part.strip()]
    shares: dict[str, float] = {}
    for part in parts:
        name, _, share = part.rpartition(":")
        name, share = name.strip(" \"'"), share.strip(" %\"'")
        if not name or not re.fullmatch(r"\d+([.]\d+)?", share) or float(share) <= 0:
            raise ValueError("write variants and shares as in standard: 50, question: 50")
        if name in shares:
            raise ValueError(f"variant {name} is there twice")
        shares[name] = float(share)
    if len(shares) < 2:
        raise ValueError("name two variants or more, as in standard: 50, question: 50")
    whole = sum(shares.values())
    return {name: share / whole for name, share in shares.items()}


@dataclass(frozen=True)
class Declared:
    """One row of dim_experiments."""

    experiment_id: str
    outcome_id: str
    shares: dict[str, float]
    has_ended: bool
    as_of: pd.Timestamp
    warnings: tuple[str, ...]


def experiment_tables(
    experiments: pd.DataFrame, units: pd.DataFrame, looks: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tables experiment_readouts and experiment_looks: a row per experiment and variant; and per
    look, those before (LOOK_COLUMNS, all of days before this one) and today's.
    """
    rows: list[dict[str, Any]] = []
    for experiment in experiments.to_dict("records"):
        own = units[units["experiment_id"] == experiment["experiment_id"]]
        rows += _readout(_declared(experiment), own.reset_index(drop=True), looks)
    as_of = experiments["as_of"].max()
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    readouts = rounded(frame.assign(
        evidence=np.where(frame["state"] == "cannot_be_read", "none", "randomised"),
        interval_id="always_valid_95", method_id="difference_by_account", as_of=as_of,
    ))  # fmt: skip
    today = readouts[~readouts["is_control"].astype(bool)].assign(looked_on=as_of)
    told = pd.concat([looks, today[list(LOOK_COLUMNS)]], ignore_index=True)
    return readouts, told.assign(
        interval_id="always_valid_95", method_id="difference_by_account", as_of=as_of
    )


def _declared(experiment: dict[Any, Any]) -> Declared:
    warnings = [
        name
        for name, column in (
            ("declared_late", "is_declared_late"),
            ("changed_after_it_was_declared", "is_changed"),
        )
        if experiment[column] is True or experiment[column] is np.True_
    ]
    try:
        shares = shares_of(experiment["variants"])
    except ValueError:
        shares = {}
    ends = experiment["end_on"]
    return Declared(
        experiment["experiment_id"],
        experiment["primary_outcome"],
        shares,
        bool(pd.notna(ends) and ends < experiment["as_of"]),
        experiment["as_of"],
        tuple(warnings),
    )


def _readout(declared: Declared, units: pd.DataFrame, looks: pd.DataFrame) -> list[dict[str, Any]]:
    """A row per variant, the control first."""
    names = list(declared.shares) or sorted(units["variant"].astype(object).unique())
    if not names:
        return []
    units = units.assign(
        variant=units["variant"].astype(object),
        account=_accounts(units),
        value=pd.to_numeric(units["outcome"]),
    )
    readable = units[units["is_followed"].to_numpy(bool) & units["value"].notna()]
    known = np.log1p(readable[["n_outcomes_before", "n_contacts_before"]].to_numpy(float))
    value = readable["value"].to_numpy(float)
    adjusted, reduced = value, 0.0
    if len(readable) > known.shape[1] + len(names):
        arm = pd.factorize(readable["variant"])[0]
        adjusted, reduced = without_what_was_known(value, arm, known)
    readable = readable.assign(adjusted=adjusted)
    p, warnings = _assignment(declared, units, names)
    level = 1 - (1 - LEVEL) / max(len(names) - 1, 1)
    rows = []
    for name in names:
        arms = readable[readable["variant"].isin([names[0], name])]
        row = {
            "experiment_id": declared.experiment_id,
            "definition_id": declared.outcome_id,
            "variant": name,
            "is_control": name == names[0],
            "planned_share_rate": declared.shares.get(name, np.nan),
            "mismatch_p": p,
            "warning": ", ".join(warnings) or None,
            "n_compared": len(names) - 1,
            "variance_reduction_rate": max(reduced, 0.0),
            **_counts(units[units["variant"] == name], readable[readable["variant"] == name]),
            **_differences(arms, arms["variant"].to_numpy() == name, level, name == names[0]),
        }
        rows.append(row)
    is_whole = declared.has_ended and bool(units["is_followed"].all())
    is_early = any(row["n_events"] < MIN_EVENTS or row["n_accounts"] < MIN_ACCOUNTS for row in rows)
    is_unreadable = bool({"variants_undeclared", "assignment_not_as_planned", "outcomes_unknown"}
                         & set(warnings))  # fmt: skip
    for row in rows:
        before = looks[(looks["experiment_id"] == row["experiment_id"])
                       & (looks["variant"] == row["variant"])]  # fmt: skip
        row |= _state(row, declared.as_of, names[0], before, is_early, is_whole, is_unreadable)
    return rows


def _accounts(units: pd.DataFrame) -> Any:
    """Accounts numbered from 0; a unit of no known account is one of its own."""
    account = pd.factorize(units["account_id"])[0]
    alone = np.arange(len(units)) + account.max(initial=-1) + 1
    return pd.factorize(np.where(account >= 0, account, alone))[0]


def _assignment(
    declared: Declared, units: pd.DataFrame, names: list[str]
) -> tuple[float, list[str]]:
    """Whether units are as planned: p of their numbers, and what a reader must know."""
    warnings = list(declared.warnings)
    if not declared.shares or set(units["variant"]) - set(names):
        return np.nan, ["variants_undeclared", *warnings]
    # Accounts that are assigned as a whole are what was drawn.
    per_account = units.groupby("account")["variant"].nunique()
    drawn = units.drop_duplicates("account") if (per_account == 1).all() else units
    assigned = drawn["variant"].value_counts().reindex(names, fill_value=0).to_numpy()
    p = mismatch(assigned, np.array(list(declared.shares.values())))
    if p < MISMATCH:
        warnings.insert(0, "assignment_not_as_planned")
    if len(units) and units["value"].isna().mean() > MAX_UNKNOWN:
        warnings.insert(0, "outcomes_unknown")
    if units["is_reassigned"].any():
        warnings.append("units_assigned_twice")
    return p, warnings


def _counts(units: pd.DataFrame, readable: pd.DataFrame) -> dict[str, Any]:
    return {
        "n_assigned": len(units),
        "n_unknown": int(units["value"].isna().sum()),
        "n_mature": len(readable),
        "n_accounts": readable["account"].nunique(),
        "n_events": int((readable["value"] > 0).sum()),
        "mean_outcome": readable["value"].mean() if len(readable) else np.nan,
    }


def _differences(
    arms: pd.DataFrame, is_variant: Any, level: float, is_control: bool
) -> dict[str, Any]:
    """Of a variant and the control: as it stands, and less what was known before."""
    if is_control or not 0 < is_variant.sum() < len(arms):
        return dict.fromkeys(DIFFERENCES, np.nan)
    account = arms["account"].to_numpy()
    value = arms["value"].to_numpy(float)
    plain = effect(value, is_variant, account)
    without = effect(arms["adjusted"].to_numpy(float), is_variant, account)
    means = np.where(is_variant, value[is_variant].mean(), value[~is_variant].mean())
    ratio = (np.nan,) * 3
    if (means > 0).all():
        relative = effect(value / means, is_variant, account)
        half = relative.bounds()[1]
        middle = value[is_variant].mean() / value[~is_variant].mean()
        ratio = (middle, middle * np.exp(-half), middle * np.exp(half))
    numbers = (plain.difference, *plain.bounds(), *ratio, without.difference,
               *without.bounds(), *without.bounds_of_every_look(level))  # fmt: skip
    return dict(zip(DIFFERENCES, numbers, strict=True))


def _state(
    row: dict[str, Any],
    as_of: pd.Timestamp,
    control: str,
    before: pd.DataFrame,
    is_early: bool,
    is_whole: bool,
    is_unreadable: bool,
) -> dict[str, Any]:
    """Where it stands, since when, and what may be said. What was once decided stays so."""
    low, high = row["low_always_difference"], row["high_always_difference"]
    decided = before[before["state"] == "decided"].sort_values("looked_on")
    is_apart = not is_early and (low > 0 or high < 0)
    if is_unreadable:
        why = row["warning"].split(",")[0].replace("_", " ")
        said = f"nothing can be told: {why}"
        return {"state": "cannot_be_read", "decided_on": None, "said": said}
    if row["is_control"]:
        return {"state": "control", "decided_on": None, "said": None}
    if len(decided) or is_apart:
        first = decided.iloc[0] if len(decided) else None
        sign = first["adjusted_difference"] if first is not None else row["adjusted_difference"]
        more = "more" if sign > 0 else "less" if row["definition_id"] == "amount_won" else "fewer"
        words = WORDS[row["definition_id"]]
        return {
            "state": "decided",
            "decided_on": first["looked_on"] if first is not None else as_of,
            "said": f"{row['variant']} brings {more} {words} than {control}",
        }
    if is_whole:
        said = f"these units cannot settle it: {row['variant']} and {control} are not told apart"
        return {"state": "cannot_be_settled", "decided_on": None, "said": said}
    said = "too early to look" if is_early else "keep going: nothing is decided yet"
    return {"state": "keep_going", "decided_on": None, "said": said}
