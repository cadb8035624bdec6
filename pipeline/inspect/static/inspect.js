// What pages do beyond links and forms, all of which work without it: sliders over measures, copying, sorting tables.
"use strict";

// A slider has as many steps as the page has quantiles, so that each step moves as many records, however the values are distributed.
for (const field of document.querySelectorAll("fieldset.slider")) {
  const quantiles = JSON.parse(field.dataset.quantiles);
  if (quantiles.length < 2) continue;
  const numbers = [...field.querySelectorAll("input[type=number]")];
  const track = document.createElement("div");
  track.className = "track";
  const last = quantiles.length - 1;
  const ranges = numbers.map((number, side) => {
    const range = document.createElement("input");
    Object.assign(range, { type: "range", min: "0", max: String(last), step: "1" });
    range.setAttribute("aria-label", number.parentElement.textContent.trim());
    const place = () => {
      const value = number.value === "" ? NaN : Number(number.value);
      const reached = side ? quantiles.findLastIndex((one) => one <= value) : quantiles.findIndex((one) => one >= value);
      range.value = String(Number.isNaN(value) ? side * last : reached < 0 ? side ? 0 : last : reached);
    };
    range.addEventListener("input", () => {
      const step = Number(range.value);
      number.value = step === side * last ? "" : String(quantiles[step]);
    });
    range.addEventListener("change", () => field.form.requestSubmit());
    number.addEventListener("input", place);
    place();
    track.append(range);
    return range;
  });
  ranges[0].addEventListener("input", () => keepOrder(0));
  ranges[1].addEventListener("input", () => keepOrder(1));
  function keepOrder(moved) {
    if (Number(ranges[0].value) <= Number(ranges[1].value)) return;
    ranges[1 - moved].value = ranges[moved].value;
    const step = Number(ranges[moved].value);
    numbers[1 - moved].value = String(quantiles[step]);
  }
  field.append(track);
}

// Addresses of forms without the fields that are empty.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("formdata", (event) => {
    const given = [...event.formData.entries()].filter(([, value]) => value !== "");
    for (const name of [...event.formData.keys()]) event.formData.delete(name);
    for (const [name, value] of given) event.formData.append(name, value);
  });
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    const words = button.textContent;
    button.textContent = "✓";
    setTimeout(() => { button.textContent = words; }, 1500);
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    if (!heading.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = heading.textContent;
    heading.replaceChildren(button);
    button.addEventListener("click", () => {
      const isNumber = heading.classList.contains("number");
      const sort = heading.getAttribute("aria-sort");
      const descending = sort === null ? isNumber : sort === "ascending";
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const read = (row) => isNumber ? readNumber(row.cells[column]) : row.cells[column].textContent.trim();
      const compare = (a, b) => {
        if (a === null || b === null) return (a === null) - (b === null); // without a value: last
        return (isNumber ? a - b : a.localeCompare(b)) * (descending ? -1 : 1);
      };
      const rows = [...table.tBodies[0].rows].map((row) => [read(row), row]);
      table.tBodies[0].append(...rows.sort((a, b) => compare(a[0], b[0])).map(([, row]) => row));
    });
  });
}

function readNumber(cell) {
  const value = cell.dataset.value;
  return value === undefined || value === "" ? null : Number(value);
}
