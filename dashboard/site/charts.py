"""The charts of the pages, as Vega-Lite specifications made with Altair.

Belongs here: how rows are drawn. Does not belong here: which rows.

Colours carry nothing that words or places do not; they are told apart by contrast on white and on
black alike. Texts and axes take the colour of the page (`currentColor`).
"""

from collections.abc import Iterable
from typing import Any

import altair as alt

from dashboard.site.parts import EVERYTHING, Filter
from dashboard.words import Words

BLUE, ORANGE, GREEN, GREY, PURPLE = "#3b7cb8", "#c26a12", "#2f8a5b", "#808080", "#8a63b8"
INK = "currentColor"
CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {"labelColor": INK, "titleColor": INK, "domainColor": INK, "tickColor": INK,
             "gridColor": GREY, "gridOpacity": 0.25, "labelFontSize": 12, "titleFontSize": 12,
             "titleFontWeight": "normal", "labelLimit": 150},
    "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "titleFontSize": 12,
               "orient": "top", "columns": 3, "titleFontWeight": "normal", "labelLimit": 150},
    "header": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12},
    "text": {"color": INK},
    "rule": {"color": BLUE}, "point": {"color": BLUE}, "bar": {"color": BLUE},
}  # fmt: skip
# Rows of a chart whose places are named, and what is left for the marks.
STEP = 26


def _chart() -> Any:
    """Its rows come last (`Charts._finished`)."""
    return alt.Chart(alt.Data(values=[]))  # type: ignore[no-untyped-call]


def number_of(value: Any) -> Any:
    """As JSON has it, without digits that nobody sees."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if value == value else None
    return value if value is None or isinstance(value, (int, str, bool)) else str(value)


class Charts:
    """Charts of one page: `filters` are those that they answer to."""

    def __init__(self, words: Words, filters: list[Filter]) -> None:
        self.words = words
        self.first = {each.name: each.value for each in filters if not each.is_group}

    def _finished(
        self,
        chart: Any,
        rows: list[dict[str, Any]],
        what: str,
        height: float = 100,
        step: float | None = None,
    ) -> dict[str, Any]:
        """With its rows, answering to the filters, as wide as the page.

        `step`: the height of one label; how many there are follows from the filters (site.js).
        Vega-Lite's own steps complain in the browser's log of every chart as wide as its page.
        """
        there = set(rows[0]) if rows else set()
        params, asked = [], []
        for name, value in {**self.first, "group": EVERYTHING}.items():
            if name in there:
                params.append(alt.param(name=name, value=value))
                asked.append(f"toString(datum.{name}) == {name}")
        if asked:
            chart = chart.transform_filter(" && ".join(asked))
        if params:
            chart = chart.add_params(*params)
        spec: dict[str, Any] = chart.properties(
            width="container", height=height, description=what
        ).to_dict(validate=False)
        spec["data"] = {"values": [{k: number_of(v) for k, v in row.items()} for row in rows]}
        spec.pop("datasets", None)
        for layer in spec.get("layer", []):
            layer.pop("data", None)
        spec["config"] = CONFIG
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
        spec["usermeta"] = {"step": step}
        return spec

    def intervals(
        self,
        rows: list[dict[str, Any]],
        title: str,
        colour: str | None = None,
        zero: bool = False,
        form: str = ".0%",
    ) -> dict[str, Any] | None:
        """Of each `label`, in the order of `rows`, an estimate with its interval: value, low, high,
        n; what cannot be told is not drawn. None if nothing is.

        `colour`: a field by which several of a label are told apart. `zero`: a rule there.
        """
        words = self.words
        names = {"label", "value", "low", "high", "n", "place", "group", colour, *self.first}
        rows = [
            {name: row[name] for name in row if name in names}
            for row in ordered(rows)
            if None not in (row["value"], row["low"], row["high"])
        ]
        if not rows:
            return None
        base = _chart()
        y = alt.Y("label:N", sort=alt.EncodingSortField("place", order="ascending"), title=None)
        axis = alt.Axis(format=form, tickCount=5)
        tooltip = [
            alt.Tooltip("label:N", title=words("what")),
            *([alt.Tooltip(f"{colour}:N", title=words("measure"))] if colour else []),
            alt.Tooltip("value:Q", format=form, title=words("estimate")),
            alt.Tooltip("low:Q", format=form, title=words("low")),
            alt.Tooltip("high:Q", format=form, title=words("high")),
            alt.Tooltip("n:Q", title="n"),
        ]
        more: dict[str, Any] = {}
        if colour:
            scale = alt.Scale(range=[BLUE, ORANGE, GREEN, PURPLE])
            more = {
                "color": alt.Color(f"{colour}:N", scale=scale, title=None),
                "yOffset": alt.YOffset(f"{colour}:N"),
            }
        rules = base.mark_rule(aria=False, strokeWidth=2).encode(
            y=y, x=alt.X("low:Q", title=title, axis=axis), x2="high:Q", **more
        )
        points = base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y, x=alt.X("value:Q", title=title, axis=axis), tooltip=tooltip, **more
        )
        layers = [rules, points]
        if not colour:  # beside each: of how many it tells
            rows = [{**row, "n_text": f"n {words.number(row['n'])}"} for row in rows]
            layers.append(base.mark_text(aria=False, align="left", dx=6, dy=-8, fontSize=11).encode(
                y=y, x="value:Q", text=alt.Text("n_text:N")))  # fmt: skip
        if zero:
            line = base.mark_rule(aria=False, color=GREY, strokeDash=[4, 3])
            layers.insert(0, line.encode(x=alt.datum(0)))
        step = STEP * (1.4 if colour else 1.2)
        return self._finished(alt.layer(*layers), rows, title, step=step)

    def fan(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """Of each `label` (a quarter), low to high and the middle, what is booked, and the goal."""
        words = self.words
        base = _chart()
        y = alt.Y("label:N", title=None, sort=None)
        axis = alt.Axis(format="~s", tickCount=5)
        tooltip = [alt.Tooltip("label:N", title=words("quarter"))] + [
            alt.Tooltip(f"{name}:Q", format=",.0f", title=words(said))
            for name, said in (("low", "p10"), ("value", "p50"), ("high", "p90"),
                               ("goal", "goal_amount"), ("had", "booked_amount"))
        ]  # fmt: skip
        span = base.mark_bar(size=16, color=BLUE, opacity=0.45).encode(
            y=y, x=alt.X("low:Q", title=title, axis=axis), x2="high:Q", tooltip=tooltip
        )
        had = base.mark_bar(size=8, color=GREEN).encode(y=y, x=alt.X("had:Q"), tooltip=tooltip)
        middle = base.mark_tick(size=24, thickness=3, color=BLUE).encode(y=y, x="value:Q")
        goal = base.mark_tick(size=36, thickness=3, color=ORANGE).encode(y=y, x="goal:Q")
        return self._finished(alt.layer(span, had, middle, goal), rows, title, step=48)

    def heat(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """Of each month and stage a share; grey where it is too early to tell."""
        words = self.words
        base = _chart().encode(
            x=alt.X("month:O", title=words("month_entered"),
                    axis=alt.Axis(labelAngle=-60, labelOverlap=True)),
            y=alt.Y("label:N", sort=alt.EncodingSortField("place"), title=None),
            tooltip=[alt.Tooltip("month:O", title=words("month_entered")),
                     alt.Tooltip("label:N", title=words("stage")),
                     alt.Tooltip("value:Q", format=".0%", title=title),
                     alt.Tooltip("n:Q", title="n")],
        )  # fmt: skip
        told = base.mark_rect().transform_filter("datum.value != null").encode(
            color=alt.Color("value:Q", title=title, legend=alt.Legend(format=".0%"),
                            scale=alt.Scale(scheme="blues", domainMin=0)),
        )  # fmt: skip
        early = base.mark_rect(color=GREY, opacity=0.3).transform_filter("datum.value == null")
        return self._finished(alt.layer(early, told), rows, title, step=STEP)

    def waterfall(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """Bars from `low` to `high`, one after the other, of three kinds."""
        words = self.words
        scale = alt.Scale(domain=[words("stock"), words("in"), words("out")],
                          range=[GREY, BLUE, ORANGE])  # fmt: skip
        bars = _chart().mark_bar().encode(
            y=alt.Y("label:N", sort=alt.EncodingSortField("place"), title=None),
            x=alt.X("low:Q", title=title, axis=alt.Axis(format="~s", tickCount=5)),
            x2="high:Q",
            color=alt.Color("kind:N", scale=scale, title=None),
            tooltip=[alt.Tooltip("label:N", title=words("what")),
                     alt.Tooltip("amount:Q", format="+,.0f", title=title),
                     alt.Tooltip("n:Q", title=words("deals_n"))],
        )  # fmt: skip
        return self._finished(bars, rows, title, step=STEP)

    def weeks(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """Per week and stage by how much it filled (above 0) or drained."""
        words = self.words
        shown = (("net", title), ("came_in", words("came_in")), ("moved_on", words("moved_on")),
                 ("lost", words("lost_ones")), ("open", words("open_at_end")))  # fmt: skip
        rects = _chart().mark_rect().encode(
            x=alt.X("week:O", title=words("week"),
                    axis=alt.Axis(labelAngle=-60, labelOverlap=True)),
            y=alt.Y("label:N", sort=alt.EncodingSortField("place"), title=None),
            color=alt.Color("net:Q", title=title,
                            scale=alt.Scale(range=[ORANGE, "#e0e0e0", BLUE], domainMid=0)),
            tooltip=[alt.Tooltip("week:O", title=words("week")),
                     alt.Tooltip("label:N", title=words("stage")),
                     *(alt.Tooltip(f"{name}:Q", title=said) for name, said in shown)],
        )  # fmt: skip
        return self._finished(rects, rows, title, step=STEP)

    def flow(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """Bands from step to step (`band`, `step`, `top`, `bottom`, `kind`), and names beside them
        (`label`, `step`, `at`).
        """
        words = self.words
        base = _chart()
        kinds = [words.of("became", kind) for kind in ("won", "open", "lost")]
        bands = base.transform_filter("isValid(datum.band)").mark_area(
            opacity=0.6, interpolate="monotone"
        ).encode(
            x=alt.X("step:Q", axis=None, scale=alt.Scale(nice=False, padding=4)),
            y=alt.Y("top:Q", axis=None), y2="bottom:Q", detail="band:N",
            color=alt.Color("kind:N", title=None,
                            scale=alt.Scale(domain=kinds, range=[GREEN, BLUE, GREY])),
            tooltip=[alt.Tooltip("what:N", title=words("what")),
                     alt.Tooltip("kind:N", title=words("became")),
                     alt.Tooltip("n:Q", title=words("deals_n"))],
        )  # fmt: skip
        names = base.transform_filter("isValid(datum.label)").mark_text(
            aria=False, align="left", baseline="middle", dx=3, fontSize=11, limit=130
        ).encode(x="step:Q", y="at:Q", text="label:N")  # fmt: skip
        return self._finished(alt.layer(bands, names), rows, title, 420)

    def over_time(self, rows: list[dict[str, Any]], title: str) -> dict[str, Any]:
        """An interval that narrows: value, low, high by `day`; zero is a rule."""
        words = self.words
        base = _chart().encode(
            x=alt.X("day:T", title=None),
            tooltip=[alt.Tooltip("day:T", title=words("day")),
                     *(alt.Tooltip(f"{name}:Q", format="+.1%", title=words(said)) for name, said in
                       (("value", "estimate"), ("low", "low"), ("high", "high"))),
                     alt.Tooltip("n:Q", title="n")],
        )  # fmt: skip
        axis = alt.Axis(format="+.0%")
        colour = alt.Color("label:N", title=None, scale=alt.Scale(range=[BLUE, ORANGE, GREEN]))
        rules = base.mark_rule(aria=False, strokeWidth=2).encode(
            y=alt.Y("low:Q", title=title, axis=axis), y2="high:Q", color=colour
        )
        points = base.mark_point(filled=True, size=60).encode(y="value:Q", color=colour)
        zero = _chart().mark_rule(aria=False, color=GREY, strokeDash=[4, 3])
        layers = alt.layer(zero.encode(y=alt.datum(0)), rules, points)
        return self._finished(layers, rows, title, 240)


def ordered(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each with its `place` in this order."""
    return [{**row, "place": place} for place, row in enumerate(rows)]
