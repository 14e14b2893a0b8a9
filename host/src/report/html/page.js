"use strict";
// Adds to the page what needs a script: buttons that copy a command, sorting, and filters. The page is complete without it.
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const button = (text, act) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", act);
    return made;
  };

  // Links to what stands in a closed part of the page open it.
  const show = (target, where) => {
    for (let it = target; it; it = it.parentElement) {
      if (it.localName === "details") it.open = true;
      it.hidden = false;
    }
    target.scrollIntoView(where);
  };
  const open = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target) show(target);
  };
  addEventListener("hashchange", open);
  open();

  // What scrolls sideways can be reached with the keyboard.
  for (const wide of all(".wide:not([tabindex])")) wide.tabIndex = 0;

  // Copying.
  const copy = async (text, from) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      getSelection().selectAllChildren(from);
      return document.execCommand("copy");
    }
  };
  for (const command of all("pre")) {
    const copied = button("Copy command", async () => {
      copied.textContent = (await copy(command.textContent, command)) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => (copied.textContent = "Copy command"), 2000);
    });
    command.before(copied);
  }

  // Sorting: by the number with which a cell begins, in its unit, or else by its text, as a date is.
  const units = {
    ns: 1e-9, "\u00b5s": 1e-6, ms: 1e-3, k: 1e3, M: 1e6, G: 1e9, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3,
  };
  const number = (text) => {
    const found = /^\s*[~<]?(?:p[\d.]+ )?(-?\d[\d.]*(?:e-?\d+)?)(?![\d.]|-\d)\s?([A-Za-z\u00b5]*)/.exec(text);
    return found ? found[1] * (units[found[2]] || 1) : NaN;
  };
  const text = (row, column) => (row.cells[column] ? row.cells[column].textContent.replaceAll("\u202f", "") : "");
  const compare = (one, other, column, down) => {
    const [a, b] = [text(one, column), text(other, column)];
    const [x, y] = column ? [number(a), number(b)] : [NaN, NaN];
    // Cells without a number come last in both directions.
    if (isNaN(x) !== isNaN(y)) return isNaN(x) ? 1 : -1;
    const order = isNaN(x) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
    return down ? -order : order;
  };
  for (const table of all("table.sortable")) {
    const heads = all("thead th", table);
    heads.forEach((head, column) => {
      const sort = button("", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((one, other) => compare(one, other, column, down));
        table.tBodies[0].append(...rows);
      });
      // The first heading of a table of results has its settings.
      if (head.textContent && (column || head.scope)) {
        sort.append(...head.childNodes);
        head.append(sort);
      }
    });
  }

  // Filters: a part of the page has the number of its workload as data-w, and that of its backend as data-b.
  const filters = document.querySelector(".filters");
  const boxes = filters ? all("input", filters) : [];
  const label = (box) => box.parentElement.textContent.trim();
  const filter = () => {
    for (const name of ["w", "b"]) {
      // What has no box of its own, such as a backend of METG sweeps only, is always shown.
      const hidden = new Set(boxes.filter((box) => box.name === name && !box.checked).map((box) => box.value));
      for (const part of all(`[data-${name}]`)) {
        part.toggleAttribute("hidden", hidden.has(part.dataset[name]));
      }
    }
  };
  // The address has the marked cell and the names of what is hidden: #c5f1d03b2.4&hide-b=mine&hide-w=null
  let marked = "";
  const keep = () => {
    const hidden = boxes.filter((box) => !box.checked).map((box) => [`hide-${box.name}`, label(box)]);
    const parts = [marked, `${new URLSearchParams(hidden)}`].filter(Boolean);
    history.replaceState(null, "", `#${parts.join("&")}`);
  };
  const restore = () => {
    const address = new URLSearchParams(location.hash.slice(1));
    if (!address.has("hide-b") && !address.has("hide-w")) return;
    for (const box of boxes) box.checked = !address.getAll(`hide-${box.name}`).includes(label(box));
    filter();
  };
  if (filters) {
    filters.addEventListener("change", () => {
      filter();
      keep();
    });
    addEventListener("hashchange", restore);
    filters.hidden = false;
    // Browsers keep what was chosen when a page is loaded again.
    filter();
    restore();
  }

  // A click on a cell of a table marks it and puts it into the address: the id of its row, and its number in the row. A row has
  // the id of what it leads to, or else of the part around it. Further rows with an id have a number too: #c5f1d03b2.2.4
  const rowOf = new Map();
  const nameOf = new Map();
  const nameRows = () => {
    if (rowOf.size) return;
    const counts = new Map();
    for (const row of all("tbody > tr")) {
      const targets = new Set(all("a[href^='#']", row).map((link) => link.hash.slice(1)));
      const link = row.querySelector("th a[href^='#']");
      const one = link ? link.hash.slice(1) : targets.size === 1 ? [...targets][0] : "";
      const around = row.closest("[id]");
      const id = row.id || one || (around ? around.id : "");
      if (!id) continue;
      const count = (counts.get(id) || 0) + 1;
      counts.set(id, count);
      const name = count > 1 ? `${id}.${count}` : id;
      rowOf.set(name, row);
      nameOf.set(row, name);
    }
  };
  const mark = (cell, name) => {
    for (const old of all("[aria-current]")) old.removeAttribute("aria-current");
    if (cell) cell.setAttribute("aria-current", "true");
    marked = name;
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("tbody > tr > *");
    // Who selects text in a cell wants the text.
    if (!cell || event.target.closest("a, button") || !getSelection().isCollapsed) return;
    nameRows();
    const name = nameOf.get(cell.parentElement);
    if (!name) return;
    mark(cell, `${name}.${cell.cellIndex + 1}`);
    keep();
  });
  // After the filters, which move the cells.
  const find = () => {
    const [name] = location.hash.slice(1).split("&");
    const found = /^(.+)\.(\d+)$/.exec(name);
    if (found) nameRows();
    const row = found && rowOf.get(found[1]);
    const cell = row && row.cells[found[2] - 1];
    mark(cell, cell ? name : "");
    if (cell) show(cell, { block: "center", inline: "center" });
  };
  addEventListener("hashchange", find);
  find();
})();
