// Makes the tables and curves of a page interactive. Without it the page shows the same content.
//
// A table with the attribute data-interactive can be sorted by each column, and its rows can be hidden.
//   data-filters   JSON, {"attack": "Attack"}: rows with the attribute data-attack can be filtered by it
//   data-defaults  JSON, {"attack": "all attacks"}: the filters at the start
//   data-switches  JSON, {"bound": "Bound"}: of the header cells with data-bound, one value is shown at a time
//   td[data-sort]  the value that a cell is sorted by, where its text is not that value
//   tr[data-label]  the name of a row, and tr[data-scope] what tells rows of the same name apart
//   tr.victim, tr.none, tr.control   stay above the others, in their order
//   a[data-records="3 17"]           opens a panel with copies of the elements record-3 and record-17, and of the
//                                    settings in the element that the link leads to
// A figure whose SVG has groups g[data-line] gets a legend whose buttons switch lines off and on.
//   data-points    JSON, [[x, y, "text"]]: what the pointer shows near a point, in the units of the SVG
// A form with the class "compare" shows the differences of two rows, from the JSON element that it names.
"use strict";
(() => {
  const MISSING = "–";
  const all = (selector, inside = document) => Array.from(inside.querySelectorAll(selector));
  const json = (text) => JSON.parse(text || "{}");

  // make("button", {class: "sort", "aria-label": "..."}, text or elements)
  function make(name, attributes = {}, ...content) {
    const element = document.createElement(name);
    Object.entries(attributes).forEach(([key, value]) => element.setAttribute(key, value));
    element.append(...content);
    return element;
  }
  const button = (attributes, ...content) => make("button", { type: "button", ...attributes }, ...content);
  // A line that screen readers read aloud when its text changes.
  const announcer = (attributes = {}) => make("p", { role: "status", "aria-live": "polite", ...attributes });

  // ---- Tables --------------------------------------------------------------------------------------------------

  // The header cells that name one column each: those that reach the last row of the header.
  function columnHeads(table) {
    const rows = Array.from(table.tHead.rows), taken = rows.map(() => []);
    rows.forEach((row, top) => Array.from(row.cells).forEach((cell) => {
      let left = 0;
      while (taken[top][left]) left += 1;
      for (let y = top; y < top + cell.rowSpan; y += 1)
        for (let x = left; x < left + cell.colSpan; x += 1) taken[y][x] = cell;
    }));
    return taken[rows.length - 1];
  }

  // Empty cells sort last in both directions, numbers before words.
  function keyOf(cell) {
    const text = (cell.dataset.sort ?? cell.textContent).trim();
    if (text === "" || text === MISSING) return { rank: 2 };
    const number = /^[<>≤≥±]?\s*([+-]?\d+(\.\d+)?)/.exec(text.replace(/−/g, "-"));
    return number ? { rank: 0, value: Number(number[1]), text } : { rank: 1, value: 0, text };
  }

  function compareKeys(a, b, direction) {
    if (a.rank === 2 || b.rank === 2) return a.rank - b.rank;
    return direction * (a.rank - b.rank || a.value - b.value || (a.rank && a.text.localeCompare(b.text)));
  }

  function interactiveTable(table) {
    const body = table.tBodies[0], heads = columnHeads(table), rows = Array.from(body.rows);
    const pinned = (row) => ["victim", "none", "control"].some((kind) => row.classList.contains(kind));
    const keys = new Map(rows.map((row) => [row, Array.from(row.cells, keyOf)]));
    const scopes = new Set(rows.map((row) => row.dataset.scope));
    const nameOf = ({ dataset, cells }) => (scopes.size > 1 ? `${dataset.label}, ${dataset.scope}` : cells[0].textContent.trim());
    const names = new Map(rows.map((row) => [row, nameOf(row)]));
    const headNames = heads.map((head) => head.textContent.replace(/\u200b/g, "").trim());
    const status = announcer({ class: "status" });
    const choice = json(table.dataset.defaults), switched = {}, away = new Set();
    const tools = make("div", { class: "tools", role: "group", "aria-label": "Options of the table" });
    const back = button({ class: "back", hidden: "" });
    let order = "";

    const hiddenBy = (row) => Object.entries(choice).some(([name, value]) => value && row.dataset[name] !== value);

    function update(announcement = "") {
      rows.forEach((row) => { row.hidden = away.has(row) || hiddenBy(row); });
      heads.forEach((head, index) => {
        const off = Object.entries(switched).some(([name, value]) => name in head.dataset && head.dataset[name] !== value);
        head.hidden = off;
        rows.forEach((row) => { row.cells[index].hidden = off; });
      });
      back.hidden = away.size === 0;
      back.textContent = `Show ${away.size} hidden ${away.size === 1 ? "row" : "rows"}`;
      const shown = rows.filter((row) => !row.hidden).length;
      status.textContent = `${announcement}${shown} of ${rows.length} rows are shown${order}.`;
      table.dispatchEvent(new CustomEvent("changed", { detail: rows }));
    }

    function sort(index, head) {
      const falls = head.getAttribute("aria-sort") === "ascending", direction = falls ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falls ? "descending" : "ascending");
      const sorted = rows.filter((row) => !pinned(row)).map((row, index) => ({ row, index }));
      sorted.sort((a, b) => compareKeys(keys.get(a.row)[index], keys.get(b.row)[index], direction) || a.index - b.index);
      body.append(...rows.filter(pinned), ...sorted.map((entry) => entry.row));
      order = `, sorted by ${headNames[index]}, ${falls ? "descending" : "ascending"}`;
      update();
    }

    heads.forEach((head, index) => {
      const press = button({ class: "sort" }, ...head.childNodes);
      press.addEventListener("click", () => sort(index, head));
      head.append(press);
    });
    rows.forEach((row) => {
      const hide = button({ class: "hide", "aria-label": `Hide ${names.get(row)}`, title: "Hide this row" }, "×");
      hide.addEventListener("click", () => {
        const visible = Array.from(body.rows).filter((other) => !other.hidden), index = visible.indexOf(row);
        away.add(row);
        update(`${names.get(row)} is hidden. `);
        (visible[index + 1] ?? visible[index - 1])?.querySelector("button.hide")?.focus();
        if (visible.length === 1) back.focus();
      });
      row.cells[0].append(hide);
    });
    back.addEventListener("click", () => {
      away.clear();
      update();
      heads.find((head) => !head.hidden)?.querySelector("button").focus();
    });

    function select(label, values, value, choose) {
      const list = make("select", {}, ...values.map(([key, text]) => make("option", { value: key }, text)));
      list.value = value;
      list.addEventListener("change", () => { choose(list.value); update(); });
      tools.append(make("label", {}, `${label} `, list));
    }
    Object.entries(json(table.dataset.filters)).forEach(([name, label]) => {
      const values = Array.from(new Set(rows.map((row) => row.dataset[name]).filter(Boolean)), (value) => [value, value]);
      select(label, [["", "any"], ...values], choice[name] ?? "", (value) => { choice[name] = value; });
    });
    Object.entries(json(table.dataset.switches)).forEach(([name, label]) => {
      const values = Array.from(new Set(heads.map((head) => head.dataset[name]).filter(Boolean)), (value) => [value, value]);
      const start = choice[name];
      delete choice[name];
      if (values.length === 0) return;
      switched[name] = (values.find(([value]) => value === start) ?? values[0])[0];
      select(label, values, switched[name], (value) => { switched[name] = value; });
    });
    tools.append(back);
    (table.closest(".wide") ?? table).before(tools, status);
    update();
  }

  // ---- The panel with the records behind a number --------------------------------------------------------------

  function recordPanel() {
    const links = all("a[data-records]");
    if (links.length === 0) return;
    const title = make("h2", { id: "panel-title" }), content = make("div");
    const close = button({ class: "close" }, "Close");
    const panel = make("dialog", { class: "panel", "aria-labelledby": "panel-title" }, close, title, content);
    close.addEventListener("click", () => panel.close());
    panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
    document.body.append(panel);
    links.forEach((link) => link.addEventListener("click", (event) => {
      event.preventDefault();
      const numbers = link.dataset.records.split(" ").filter(Boolean);
      title.textContent = link.getAttribute("aria-label");
      const copies = numbers.map((number) => {
        const copy = document.getElementById(`record-${number}`).cloneNode(true);
        copy.removeAttribute("id");
        copy.open = numbers.length < 3;
        return copy;
      });
      const count = `${numbers.length} ${numbers.length === 1 ? "record is" : "records are"} behind this number.`;
      const settings = document.querySelector(`${link.hash} .settings`)?.cloneNode(true) ?? "";
      content.replaceChildren(settings, make("p", { class: "note" }, count), ...copies);
      panel.showModal();
    }));
    // The text of a link leads to a part of the page that lies behind the panel.
    content.addEventListener("click", (event) => { if (event.target.closest("a")) panel.close(); });
  }

  // ---- Differences between two rows ----------------------------------------------------------------------------

  function comparison(form) {
    const { measures, pairs } = json(document.getElementById(form.dataset.pairs).textContent);
    const [first, second] = all("select", form), output = form.querySelector("output");
    const table = document.getElementById(form.dataset.table);

    function show() {
      const [a, b] = [Number(first.value), Number(second.value)];
      const found = pairs[`${Math.min(a, b)}-${Math.max(a, b)}`], sign = a < b ? 1 : -1;
      const names = [first, second].map((list) => list.selectedOptions[0]?.textContent);
      if (!found) {
        output.textContent = a === b ? "Choose two different rows." : "These rows have no attack in common.";
        return;
      }
      const signed = (value) => (value < 0 ? `−${(-value).toFixed(1)}` : `+${value.toFixed(1)}`);
      output.replaceChildren(...found.map((entry, index) => {
        if (!entry) return "";
        const [mean, half, cells] = entry, width = half === null ? "" : half > 100 ? " ± >100" : ` ± ${half.toFixed(1)}`;
        const clear = half !== null && Math.abs(mean) > half;
        const less = sign * mean < 0 ? names[0] : names[1];
        const verdict = half === null ? "a single cell has no interval"
          : clear ? `${less} relapses less` : "the interval holds 0: no difference is shown";
        const where = `${cells} ${cells === 1 ? "cell" : "cells"}`;
        return make("span", {}, `${measures[index]}: ${signed(sign * mean)}${width} points in ${where}; ${verdict}.`);
      }));
    }
    function fill(rows) {
      const visible = rows.filter((row) => !row.hidden);
      [first, second].forEach((list, index) => {
        const before = list.value;
        const attacks = new Set(visible.map((row) => row.dataset.scope));
        list.replaceChildren(...visible.map((row) => make("option", { value: row.dataset.row },
          attacks.size > 1 ? `${row.dataset.label}, ${row.dataset.scope}` : row.dataset.label)));
        const rest = visible.map((row) => row.dataset.row);
        list.value = rest.includes(before) ? before : rest[Math.min(index, rest.length - 1)] ?? "";
      });
      show();
    }
    form.hidden = false;
    table.addEventListener("changed", (event) => fill(event.detail));
    [first, second].forEach((list) => list.addEventListener("change", show));
    form.addEventListener("submit", (event) => event.preventDefault());
  }

  // ---- Curves --------------------------------------------------------------------------------------------------

  // At most seven of some points, the first and the last among them.
  function thinned(points) {
    const step = Math.ceil(Math.max(1, points.length - 1) / 6);
    return points.filter((_, index) => index % step === 0 || index === points.length - 1);
  }

  function interactiveFigure(figure) {
    const svg = figure.querySelector("svg"), groups = all("g[data-line]", svg);
    const names = Array.from(new Set(groups.map((group) => group.dataset.line)));
    if (names.length === 0) return;
    const points = groups.flatMap((group) => JSON.parse(group.dataset.points || "[]").map(([x, y, text]) =>
      ({ x, y, text: `${group.dataset.line}: ${text}`, value: text, group })));
    const status = announcer({ class: "small values" }), tip = make("div", { class: "tip", hidden: "" });
    const legend = make("div", { class: "legend", role: "group", "aria-label": "Lines of the figure" });

    // The legend in the picture gives way to the one of buttons.
    all("g[data-legend]", svg).forEach((drawn) => {
      const [x, y, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
      const less = Number(drawn.dataset.legend);
      drawn.remove();
      svg.setAttribute("viewBox", `${x} ${y + less} ${width} ${height - less}`);
      svg.setAttribute("height", `${height - less}pt`);
    });
    const shown = (name) => groups.filter((group) => group.dataset.line === name);
    const fade = (name) => groups.forEach((group) => group.classList.toggle("faded", name !== null && group.dataset.line !== name));
    names.forEach((name) => {
      const swatch = make("span", { class: "dot", "aria-hidden": "true" });
      const { colour } = shown(name)[0].dataset;
      swatch.style.background = colour === "#000000" ? "currentColor" : colour; // black turns light on a dark page
      const entry = button({ "aria-pressed": "true" }, swatch, name);
      const values = shown(name).flatMap((group) => thinned(points.filter((point) => point.group === group)))
        .map((point) => point.value).join("; ");
      entry.addEventListener("click", () => {
        const off = entry.getAttribute("aria-pressed") === "true";
        entry.setAttribute("aria-pressed", String(!off));
        shown(name).forEach((group) => { group.style.display = off ? "none" : ""; });
      });
      const look = () => { fade(name); status.textContent = `${name}: ${values}.`; };
      const leave = () => fade(null);
      entry.addEventListener("focus", look);
      entry.addEventListener("mouseenter", look);
      entry.addEventListener("blur", leave);
      entry.addEventListener("mouseleave", leave);
      legend.append(entry);
    });
    svg.addEventListener("pointermove", (event) => {
      const matrix = svg.getScreenCTM(), scale = matrix.a, box = figure.getBoundingClientRect();
      const x = (event.clientX - matrix.e) / scale, y = (event.clientY - matrix.f) / scale;
      const near = points.filter((point) => point.group.style.display !== "none")
        .map((point) => ({ point, far: Math.hypot(point.x - x, point.y - y) }))
        .reduce((best, one) => (one.far < best.far ? one : best), { far: 18 / scale });
      tip.hidden = !near.point;
      fade(near.point ? near.point.group.dataset.line : null);
      if (!near.point) return;
      tip.textContent = near.point.text;
      const left = matrix.e + scale * near.point.x - box.left;
      tip.style.left = `${Math.max(0, Math.min(left + 10, box.width - tip.offsetWidth))}px`;
      tip.style.top = `${matrix.f + scale * near.point.y - box.top - 34}px`;
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; fade(null); });
    (svg.closest(".wide") ?? svg).after(legend, status, tip);
  }

  // The forms come first, since each fills its lists when its table changes.
  all("form.compare").forEach(comparison);
  all("table[data-interactive]").forEach(interactiveTable);
  all("figure.plot").forEach(interactiveFigure);
  recordPanel();
  document.documentElement.classList.add("interactive");
})();
