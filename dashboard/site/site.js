// Draws the charts of this page and lets the filters choose what charts and tables show.
"use strict";
const page = JSON.parse(document.getElementById("page").textContent);
const selects = [...document.querySelectorAll("select[data-filter]")];
const views = {};

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

// Whether a row is shown: it is so of everything it does not speak of.
function isShown(row, values) {
  return Object.entries(values).every(([key, value]) => !(key in row)
    || (key !== "group" && value === "all") || String(row[key]) === value);
}

function apply() {
  const values = chosen();
  for (const table of document.querySelectorAll("table")) {
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      row.hidden = !isShown(row.dataset, values);
      shown += !row.hidden;
    }
    table.parentElement.querySelector(".empty").hidden = shown > 0;
  }
  for (const id of Object.keys(page.charts)) draw(id, values);
}

// What no row is shown of is not drawn: a scale without values complains.
function draw(id, values) {
  const chart = document.getElementById(id), spec = page.charts[id];
  const rows = spec.data.values.filter((row) => isShown(row, values));
  chart.classList.toggle("nothing", !rows.length);
  chart.parentElement.querySelector(".empty").hidden = rows.length > 0;
  if (!rows.length) return;
  const options = { actions: false, renderer: "svg", ...page.locale };
  for (const parameter of spec.params || []) parameter.value = values[parameter.name];
  views[id] = views[id] || vegaEmbed(chart, spec, options).then((result) => result.view);
  views[id].then((view) => {
    for (const { name } of spec.params || []) view.signal(name, values[name]);
    const labels = new Set(rows.map((row) => row.label));
    if (spec.usermeta.step) view.height(labels.size * spec.usermeta.step);
    view.runAsync();
  });
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
apply();

const refused = window.mellantidStatus && window.mellantidStatus.refused;
if (refused) {
  const status = document.getElementById("refused");
  status.textContent = page.refused.replace("{since}", refused.since.slice(0, 16).replace("T", " "))
    + " " + refused.reasons.join("; ");
  status.hidden = false;
}
