// Draws the charts of this page and lets the filters choose what charts and tables show.
"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const selects = [...document.querySelectorAll("select[data-filter]")];
const views = [];

// What is chosen; of the groups one at a time, as the tables have figures of each.
function chosen() {
  const values = { group: "all" };
  for (const select of selects) {
    values[select.dataset.filter] = select.value;
    if ("group" in select.dataset && select.value !== "all") {
      values.group = `${select.dataset.filter}=${select.value}`;
    }
  }
  return values;
}

function apply() {
  const values = chosen();
  for (const table of document.querySelectorAll("table")) {
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = Object.entries(row.dataset).some(([key, value]) => key === "group"
        ? values.group !== value
        : key in values && values[key] !== "all" && values[key] !== value);
      shown += !row.hidden;
    }
    table.parentElement.querySelector(".empty").hidden = shown > 0;
  }
  for (const [chart, view] of views) {
    const signals = view.getState({ signals: (name) => name in values, data: () => false }).signals;
    for (const name of Object.keys(signals)) view.signal(name, values[name]);
    view.runAsync().then(() => {
      const isEmpty = !chart.querySelector(".role-mark path");
      chart.classList.toggle("nothing", isEmpty);
      chart.parentElement.querySelector(".empty").hidden = !isEmpty;
    });
  }
}

for (const select of selects) {
  select.addEventListener("change", () => {
    if ("group" in select.dataset && select.value !== "all") {
      for (const other of selects) {
        if (other !== select && "group" in other.dataset) other.value = "all";
      }
    }
    apply();
  });
}
for (const [id, spec] of Object.entries(page.charts)) {
  const options = { actions: false, renderer: "svg", ...page.locale };
  const chart = document.getElementById(id);
  vegaEmbed(chart, spec, options).then((result) => {
    views.push([chart, result.view]);
    apply();
  });
}
apply();

const refused = window.mellantidStatus && window.mellantidStatus.refused;
if (refused) {
  const status = document.getElementById("refused");
  status.textContent = page.refused.replace("{since}", refused.since.slice(0, 16).replace("T", " "))
    + " " + refused.reasons.join("; ");
  status.hidden = false;
}
