"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const say = (where, text) => { if (where) where.textContent = text; };
  const number = (text) => (text === undefined || text === "" ? NaN : Number(text));
  const minus = (text) => text.replace("-", "−");

  /* Theme: what the system prefers, until the button is used. */
  const theme = $("#theme");
  const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const nameTheme = () => say(theme, isDark() ? "Light" : "Dark");
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    nameTheme();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { nameTheme(); redraw(); });
  nameTheme();

  /* The label beside the pointer. */
  const tip = $("#tip");
  const showTip = (text, box) => {
    tip.textContent = text;
    tip.hidden = false;
    const room = tip.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - room.width / 2), innerWidth - room.width - 8);
    const top = box.top - room.height - 8 > 0 ? box.top - room.height - 8 : box.bottom + 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${top}px`;
  };
  const hideTip = () => { tip.hidden = true; };
  addEventListener("scroll", hideTip, { passive: true, capture: true });
  addEventListener("keydown", (event) => { if (event.key === "Escape") hideTip(); });

  /* Copying: the clipboard where it is allowed, a selected field elsewhere. */
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const field = document.createElement("textarea");
      field.value = text;
      document.body.append(field);
      field.select();
      const done = document.execCommand("copy");
      field.remove();
      return done;
    }
  };

  const ordered = (rows, key, down) => {
    const collator = new Intl.Collator(undefined, { numeric: true });
    return rows.map((row, place) => [key(row), place, row]).sort(([a, i], [b, j]) => {
      if (typeof a === "string") return (down ? -1 : 1) * collator.compare(a, b) || i - j;
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b) || i - j;
      return (down ? b - a : a - b) || i - j;
    }).map(([, , row]) => row);
  };

  const sorters = (table, sort) => {
    for (const head of $$("thead th", table)) {
      if (!head.textContent.trim() || head.querySelector(".visually-hidden")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorter";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of $$("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(head, down);
      });
    }
  };

  /* Score table. */
  const scoreTable = () => {
    const table = $("#score-table");
    if (!table) return;
    const bodies = $$("tbody", table);
    const filter = $("#filter"), family = $("#family"), order = $("#sort"), all = $("#unfold"), shown = $("#shown");
    const open = (body, isOpen) => {
      body.classList.toggle("open", isOpen);
      $(".unfold", body).setAttribute("aria-expanded", String(isOpen));
    };
    const choose = () => {
      const query = filter.value.trim().toLowerCase();
      let n = 0;
      for (const body of bodies) {
        const text = `${body.dataset.name} ${body.dataset.protocol} ${body.dataset.family}`.toLowerCase();
        body.hidden = !(text.includes(query) && (!family.value || body.dataset.family === family.value));
        n += !body.hidden;
      }
      say(shown, n === bodies.length ? "" : `${n} of ${bodies.length} scores`);
    };
    const sort = (key, down) => {
      const read = key === "name" ? (body) => body.dataset.name : (body) => number(body.dataset[key]);
      table.append(...ordered(bodies, read, down));
    };
    for (const body of bodies) $(".unfold", body).addEventListener("click", () => open(body, !body.classList.contains("open")));
    filter.addEventListener("input", choose);
    family.addEventListener("change", choose);
    order.addEventListener("change", () => {
      const down = order.value === "value" || order.value === "adjusted";
      for (const head of $$("thead th", table)) {
        head.removeAttribute("aria-sort");
        if (head.dataset.key === order.value) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      }
      sort(order.value, down);
    });
    all.addEventListener("click", () => {
      const isOpen = all.getAttribute("aria-pressed") !== "true";
      all.setAttribute("aria-pressed", String(isOpen));
      for (const body of bodies) open(body, isOpen);
    });
    for (const head of $$("thead th:not([data-key])", table)) head.dataset.plain = "";
    for (const head of $$("thead th[data-key]", table)) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sorter";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of $$("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(head.dataset.key, down);
      });
    }
    table.addEventListener("click", async (event) => {
      const button = event.target.closest("button.copy");
      if (!button) return;
      const done = await copy(button.dataset.copy);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy signature"; }, 2000);
    });
  };

  /* Heat maps of codes and factors: one order for all, numbers at the pointer and at the keyboard's focus. */
  const heats = () => {
    for (const choice of $$("#code-order input")) choice.addEventListener("change", () => {
      for (const body of $$(".heat .heat-table tbody")) body.append(...ordered([...body.rows], (row) => number(row.dataset[choice.value]), false));
    });
    for (const figure of $$(".heat")) {
      const table = $("table", figure), heads = [...table.tHead.rows[0].cells];
      const reading = (cell) => {
        const head = heads[cell.cellIndex];
        const name = cell.parentNode.cells[0].textContent;
        if (head.classList.contains("kl")) return `${name}: KL ${cell.textContent} nats`;
        const value = Number(cell.textContent.replace("−", "-")), whole = Number(head.dataset.whole);
        const share = whole > 0 && Number.isFinite(value) ? `, ${Math.round(100 * Math.max(0, value) / whole)} % ${figure.dataset.reference}` : "";
        return `${name} and ${head.textContent}: ${cell.textContent}${figure.dataset.unit ? ` ${figure.dataset.unit}` : ""}${share}`;
      };
      let here = null;
      const mark = (cell) => {
        if (here) { here.classList.remove("here"); here.tabIndex = -1; }
        here = cell;
        if (here) here.tabIndex = 0;
      };
      const show = (cell) => { say($(".reading", figure), reading(cell)); showTip(reading(cell), cell.getBoundingClientRect()); };
      const first = $("tbody td", table);
      if (first) mark(first);
      table.addEventListener("pointerover", (event) => { const cell = event.target.closest("tbody td"); if (cell) show(cell); });
      table.addEventListener("pointerleave", hideTip);
      table.addEventListener("focusin", (event) => { const cell = event.target.closest("tbody td"); if (cell) { mark(cell); show(cell); } });
      table.addEventListener("focusout", hideTip);
      table.addEventListener("keydown", (event) => {
        const cell = event.target.closest("tbody td");
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!cell || !step) return;
        event.preventDefault();
        const row = table.tBodies[0].rows[cell.parentNode.sectionRowIndex + step[0]];
        const next = row && row.cells[cell.cellIndex + step[1]];
        if (next && next.tagName === "TD") { next.tabIndex = -1; next.focus(); }
      });
    }
  };

  /* Correlation of codes: a image, and its numbers in hundredths. */
  const correlation = () => {
    const image = $("#correlation");
    if (!image) return;
    const names = JSON.parse(image.dataset.names), size = names.length;
    let pixels = null;
    const read = () => {
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = size;
      const context = canvas.getContext("2d");
      context.drawImage(image, 0, 0, size, size);
      pixels = context.getImageData(0, 0, size, size).data;
    };
    const valueAt = (place) => {
      if (!pixels) read();
      const [red, , blue, opacity] = pixels.subarray(4 * place, 4 * place + 4);
      if (opacity && red === blue) return "no correlation defined";
      return minus(((red < blue ? -1 : 1) * opacity / 255).toFixed(2).replace("-0.00", "0.00"));
    };
    let row = 0, column = 0;
    const show = () => {
      const box = image.getBoundingClientRect();
      const text = `${names[row]} and ${names[column]}: ${valueAt(row * size + column)}`;
      say($(".reading", image.parentNode), text);
      const cell = box.width / size;
      showTip(text, { left: box.left + column * cell, top: box.top + row * cell, bottom: box.top + (row + 1) * cell, width: cell });
    };
    const clip = (value) => Math.min(size - 1, Math.max(0, value));
    image.addEventListener("pointermove", (event) => {
      const box = image.getBoundingClientRect();
      column = clip(Math.floor((size * (event.clientX - box.left)) / box.width));
      row = clip(Math.floor((size * (event.clientY - box.top)) / box.height));
      show();
    });
    image.addEventListener("pointerleave", hideTip);
    image.addEventListener("blur", hideTip);
    image.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      if (!step) return;
      event.preventDefault();
      row = clip(row + step[0]);
      column = clip(column + step[1]);
      show();
    });
  };

  /* What is compressed in the page. */
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob($(id).textContent), (letter) => letter.charCodeAt(0));
    return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  };

  /* Explorer: plotly, unpacked when it is first asked for. */
  let drawing = null;
  const loadPlotly = async () => {
    if (window.Plotly) return;
    const script = document.createElement("script");
    script.textContent = await unpack("#plotly");
    document.head.append(script);
    if (!window.Plotly) throw new Error("plotly did not start");
  };
  const colourOf = (name) => {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  };
  const safe = (text) => text.replace(/[&<>]/g, (letter) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[letter]);
  const redraw = () => { if (drawing) drawing(); };
  const explorer = () => {
    drawing = null;
    const section = $("#explorer");
    if (!section) return;
    if (!$("#plotly")) { section.remove(); return; }
    const button = $("#explore"), state = $("#explore-state");
    button.addEventListener("click", async () => {
      button.disabled = true;
      say(state, "loading …");
      try {
        await loadPlotly();
      } catch (error) {
        say(state, `This browser cannot open it (${error.message}).`);
        return;
      }
      const { columns, start } = JSON.parse($("#explore-data").textContent);
      const [x, y, colour] = ["#explore-x", "#explore-y", "#explore-c"].map((id) => $(id));
      for (const select of [x, y, colour]) {
        if (select === colour) select.append(new Option("none", "-1"));
        for (const kind of ["factor", "code"]) {
          const group = document.createElement("optgroup");
          group.label = `${kind}s`;
          columns.forEach((column, place) => { if (column.kind === kind) group.append(new Option(column.name, String(place))); });
          if (group.children.length) select.append(group);
        }
      }
      x.value = String(start[0]);
      y.value = String(start[1]);
      colour.value = String(columns.findIndex((column, place) => column.kind === "factor" && place !== start[0]));
      button.parentNode.hidden = true;
      $("#explore-controls").hidden = false;
      const plot = $("#explore-plot");
      plot.classList.add("open");
      drawing = () => {
        const of = (select) => columns[Number(select.value)];
        const ink = colourOf("--ink"), line = colourOf("--line"), tint = of(colour);
        const axis = (column) => ({
          title: { text: safe(column.name) }, gridcolor: line, zeroline: false, linecolor: line, automargin: true,
          ...(column.values.length && column.values.length <= 24 ? { tickvals: column.values.map((_, i) => i), ticktext: column.values.map(safe) } : {}),
        });
        const marker = { size: 7, opacity: 0.75, color: colourOf("--accent") };
        if (tint) Object.assign(marker, { color: tint.numbers, colorscale: "Cividis", showscale: true, colorbar: { title: { text: safe(tint.name) }, thickness: 12, outlinewidth: 0 } });
        window.Plotly.react(plot, [{
          type: "scatter", mode: "markers", x: of(x).numbers, y: of(y).numbers, marker,
          hovertemplate: `${safe(of(x).name)} %{x}<br>${safe(of(y).name)} %{y}<extra></extra>`,
        }], {
          margin: { l: 60, r: 20, t: 10, b: 50 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
          font: { color: ink, family: getComputedStyle(document.body).fontFamily, size: 13 }, xaxis: axis(of(x)), yaxis: axis(of(y)),
        }, { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] });
      };
      for (const select of [x, y, colour]) select.addEventListener("change", drawing);
      drawing();
      x.focus();
    });
  };

  const card = () => { scoreTable(); heats(); correlation(); explorer(); };

  /* Several cards: one is shown in full at a time. */
  const select = $("#card-select");
  if (select) {
    const holder = $("#card"), made = new Map([["0", holder.innerHTML]]);
    const state = $("#card-state");
    select.value = "0";
    select.addEventListener("change", async () => {
      const chosen = select.value;
      try {
        if (!made.has(chosen)) {
          say(state, "loading …");
          made.set(chosen, await unpack(`#card-${chosen}`));
        }
      } catch (error) {
        say(state, `This browser cannot show it (${error.message}).`);
        return;
      }
      say(state, "");
      if (select.value !== chosen) return;
      holder.innerHTML = made.get(chosen);
      holder.dataset.number = chosen;
      holder.dataset.name = select.selectedOptions[0].textContent;
      card();
    });
  }

  /* Comparisons. */
  const forest = $("#forest-filter");
  if (forest) forest.addEventListener("input", () => {
    const query = forest.value.trim().toLowerCase();
    for (const panel of $$(".forest")) {
      const whole = panel.dataset.name.toLowerCase().includes(query);
      let n = 0;
      for (const row of $$("tr", panel)) { row.hidden = !(whole || row.dataset.name.toLowerCase().includes(query)); n += !row.hidden; }
      panel.hidden = !n;
    }
  });
  const metric = $("#difference-metric"), significant = $("#difference-significant");
  if (metric) {
    const rows = $$(".differences tbody tr");
    const choose = () => {
      let n = 0;
      for (const row of rows) {
        row.hidden = !((!metric.value || row.dataset.metric === metric.value) && (!significant.checked || row.classList.contains("significant")));
        n += !row.hidden;
      }
      say($("#difference-shown"), n === rows.length ? "" : `${n} of ${rows.length} differences`);
    };
    metric.addEventListener("change", choose);
    significant.addEventListener("change", choose);
  }
  for (const table of $$("table[data-sortable]")) sorters(table, (head, down) => {
    const body = table.tBodies[0], rows = [...body.rows];
    const text = (row) => row.cells[head.cellIndex].textContent.trim().replace("−", "-").replace("<", "");
    const isNumber = rows.every((row) => text(row) === "–" || Number.isFinite(Number(text(row))));
    body.append(...ordered(rows, isNumber ? (row) => Number(text(row) === "–" ? NaN : text(row)) : text, down));
  });

  /* Where the reader is. */
  const links = new Map($$(".contents a").map((link) => [link.hash.slice(1), link]));
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  const watch = () => { for (const section of $$("main section[id]")) if (links.has(section.id)) watcher.observe(section); };

  card();
  watch();
})();
