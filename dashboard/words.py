"""The words of the check-in in English and Swedish, and how each writes numbers.

Belongs here: sentences of the check-in, forms of numbers and days. Does not belong here: which of
them are said (check_in), the words of the pages (page_words.yml).
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml

EN = {
    "title": "Check-in",
    "unit": "company currency",
    "decision": "Decision",
    "stay": "Stay the course",
    "watch": "Watch",
    "act": "Act on a stage, and register what you change",
    "drill": "Go down to activities",
    "enough_and_moving": "it is enough, and it is moving",
    "not_enough": "it is moving, but it is not enough",
    "not_moving": "it is enough, but it is not moving",
    "neither": "it is not enough, and it is not moving",
    "cannot_tell": "too few deals to tell, or no goal stated",
    "improving": "Improving",
    "enough": "Enough",
    "moving": "Moving",
    "yes": "yes", "no": "no", "unknown": "cannot be told",
    "held": "held", "preview": "not held yet",
    "numbers": "Monday's five numbers",
    "goal": "Goal reached: {now} this quarter, {next} the next",
    "booked": "Booked {booked} of {goal}; the quarter ends between {p10} and {p90} (8 of 10), "
              "most likely near {p50}",
    "qualified": "Qualified deals: {n} came in, {needed} needed by today",
    "behind": "Most behind: {stage}, by {days} selling days",
    "not_behind": "No stage is behind by more than chance",
    "attention": "{amount} in {n} deals need a hand: {overdue} overdue, {without} without a next "
                 "step, {pushed} pushed twice or more",
    "beside": "Beside",
    "surprise": "{n} surprise wins (quoted at most 14 days before, or never), {amount}",
    "pulled": "{n} open deals pulled forward into this quarter, {amount}",
    "imputed": "{share} of open deals have no amount; each counts as much as some deal like it",
    "times": "Split times",
    "stage": "stage", "had": "had", "needed": "needed", "deals": "ahead, deals",
    "days": "ahead, days", "chance": "could be chance", "won": "Won, {pipeline}",
    "focus": "Where attention is worth most",
    "gap": "{what}: {rate} move on, {reference} expected; closing the gap is worth {amount} a "
           "quarter ({low} to {high})",
    "no_focus": "Nothing stands out by more than chance",
    "actions": "What we changed",
    "improved_more": "improved more than comparable ones",
    "improved_less": "improved less than comparable ones",
    "no_different": "no different from comparable ones",
    "too_early_to_say": "too early to say",
    "no_comparison": "the whole company changed: nothing to compare with",
    "no_metric": "no number named that it should move",
    "no_actions": "Nothing is registered (actions.csv)",
    "no_goal": "No goal is stated (goals.csv): pace and chance need one",
    "foot": "Days are selling days. From the tables of {day}; every number stands in one.",
}  # fmt: skip
SV = {
    "title": "Avstämning",
    "unit": "företagets valuta",
    "decision": "Beslut",
    "stay": "Håll kursen",
    "watch": "Bevaka",
    "act": "Ta tag i ett steg, och skriv upp vad ni ändrar",
    "drill": "Gå ner till aktiviteterna",
    "enough_and_moving": "det räcker, och det rör sig",
    "not_enough": "det rör sig, men det räcker inte",
    "not_moving": "det räcker, men det rör sig inte",
    "neither": "det räcker inte, och det rör sig inte",
    "cannot_tell": "för få affärer för att säga, eller inget mål angivet",
    "improving": "Blir bättre",
    "enough": "Räcker",
    "moving": "Rör sig",
    "yes": "ja", "no": "nej", "unknown": "går inte att säga",
    "held": "hållen", "preview": "ännu inte hållen",
    "numbers": "Måndagens fem tal",
    "goal": "Målet nås: {now} detta kvartal, {next} nästa",
    "booked": "Bokat {booked} av {goal}; kvartalet slutar mellan {p10} och {p90} (8 av 10), "
              "troligast nära {p50}",
    "qualified": "Kvalificerade affärer: {n} kom in, {needed} behövdes till i dag",
    "behind": "Mest efter: {stage}, {days} säljdagar",
    "not_behind": "Inget steg är efter med mer än slumpen",
    "attention": "{amount} i {n} affärer behöver en hand: {overdue} försenade, {without} utan "
                 "nästa steg, {pushed} framskjutna minst två gånger",
    "beside": "Vid sidan av",
    "surprise": "{n} överraskande vinster (offert högst 14 dagar före, eller ingen), {amount}",
    "pulled": "{n} öppna affärer tidigarelagda till detta kvartal, {amount}",
    "imputed": "{share} av öppna affärer saknar belopp; var och en räknas som någon liknande affär",
    "times": "Mellantider",
    "stage": "steg", "had": "hade", "needed": "behövdes", "deals": "före, affärer",
    "days": "före, dagar", "chance": "kan vara slump", "won": "Vunna, {pipeline}",
    "focus": "Var uppmärksamhet är mest värd",
    "gap": "{what}: {rate} går vidare, {reference} väntat; att stänga gapet är värt {amount} per "
           "kvartal ({low} till {high})",
    "no_focus": "Inget sticker ut mer än slumpen",
    "actions": "Vad vi ändrat",
    "improved_more": "förbättrades mer än jämförbara",
    "improved_less": "förbättrades mindre än jämförbara",
    "no_different": "ingen skillnad mot jämförbara",
    "too_early_to_say": "för tidigt att säga",
    "no_comparison": "hela företaget ändrade sig: inget att jämföra med",
    "no_metric": "inget tal angivet som det skulle flytta",
    "no_actions": "Inget är uppskrivet (actions.csv)",
    "no_goal": "Inget mål är angivet (goals.csv): takt och chans kräver ett",
    "foot": "Dagar är säljdagar. Ur tabellerna för {day}; varje tal står i en publicerad tabell.",
}  # fmt: skip
# English and Swedish of the pages.
_OF_PAGES = yaml.safe_load((Path(__file__).parent / "page_words.yml").read_text(encoding="utf-8"))

# As d3-format and d3-time-format have them.
LOCALE_SV = {
    "formatLocale": {"decimal": ",", "thousands": "\u00a0", "grouping": [3],
                     "currency": ["", "\u00a0kr"], "minus": "−"},
    "timeFormatLocale": {
        "dateTime": "%Y-%m-%d %X", "date": "%Y-%m-%d", "time": "%H:%M:%S", "periods": ["fm", "em"],
        "days": ["söndag", "måndag", "tisdag", "onsdag", "torsdag", "fredag", "lördag"],
        "shortDays": ["sön", "mån", "tis", "ons", "tors", "fre", "lör"],
        "months": ["januari", "februari", "mars", "april", "maj", "juni", "juli", "augusti",
                   "september", "oktober", "november", "december"],
        "shortMonths": ["jan", "feb", "mars", "apr", "maj", "juni", "juli", "aug", "sep", "okt",
                        "nov", "dec"],
    },
}  # fmt: skip


@dataclass(frozen=True)
class Words:
    """One language."""

    language: str

    def __call__(self, name: str, **values: Any) -> str:
        own = SV if self.language == "sv" else EN
        said = own[name] if name in own else _OF_PAGES["said"][name][self._place]
        return said.format(**values)

    def of(self, kind: str, name: str) -> str:
        """What a value of some kind is called; where it has no word, its own name."""
        key = f"{kind}_{name}"
        return self(key) if key in _OF_PAGES["said"] else self.term(name)

    @property
    def _place(self) -> int:
        return 1 if self.language == "sv" else 0

    def term(self, name: str) -> str:
        """What a table calls something, as people do; what is not known by name stays."""
        terms = _OF_PAGES["terms"]
        if name in terms:
            return str(terms[name][self._place])
        return name if " " in name else name.replace("_", " ")

    def number(self, value: float | None, sign: bool = False) -> str:
        """Whole; – where unknown."""
        if value is None:
            return "–"
        text = f"{value:+,.0f}" if sign else f"{value:,.0f}"
        text = text.replace("-0", "0") if text in ("-0", "+0") else text
        if self.language == "sv":
            return text.replace(",", "\u00a0").replace("-", "−")
        return text.replace("-", "−")

    def percent(self, share: float | None) -> str:
        """Never more sure than 99 of 100."""
        if share is None:
            return "–"
        rounded = round(100 * share)
        return {0: "< 1\u00a0%", 100: "> 99\u00a0%"}.get(rounded, f"{rounded}\u00a0%")

    def share(self, part: float | None) -> str:
        """What is counted, of what could be."""
        return "–" if part is None else f"{round(100 * part)}\u00a0%"

    def decimal(self, value: float, form: str = ".1f") -> str:
        text = f"{value:{form}}".replace("-", "−")
        return text.replace(".", ",") if self.language == "sv" else text

    def points(self, difference: float | None) -> str:
        """A difference of shares, in percentage points."""
        return "–" if difference is None else self.decimal(100 * difference, "+.1f")

    def times(self, value: float | None) -> str:
        if value is None:
            return "–"
        text = f"{value:,.1f} ×"
        return text.replace(",", "\u00a0").replace(".", ",") if self.language == "sv" else text

    def quarter(self, start: date) -> str:
        number = (start.month + 2) // 3
        return f"{start.year} kv {number}" if self.language == "sv" else f"{start.year} Q{number}"

    def locale(self) -> dict[str, Any]:
        """How charts write numbers and times: what vega-embed takes, nothing for English."""
        return LOCALE_SV if self.language == "sv" else {}

    def answer(self, value: bool | None) -> str:
        return self("unknown" if value is None else "yes" if value else "no")

    def day(self, day: date) -> str:
        return f"{day:%Y-%m-%d}"
