// The page of a report. Whatever comes from the corpus becomes text nodes: nothing here writes markup.
"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const report = read("report"), pictures = read("pictures"), labels = read("labels"), japanese = read("japanese");
  const GROUPS = ["kept", "duplicate", "dropped"];
  const SVG = "http://www.w3.org/2000/svg";
  const parameters = new URLSearchParams(location.search);
  const state = {
    language: parameters.get("lang") || (navigator.language.startsWith("ja") ? "ja" : "en"),
    theme: parameters.get("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"),
    onlyRules: false,
    open: new Set(),
  };

  // -- words and numbers

  const pick = (words) => words[state.language === "ja" ? "ja" : "en"];
  const say = (key, ...values) =>
    values.reduce((text, value, i) => text.replaceAll(`{${i}}`, value), labels[key]?.[state.language === "ja" ? 1 : 0] ?? key);
  // What the build says in English, with its language where it has no Japanese.
  const local = (english) => (state.language === "ja" && japanese[english]) || english || "";
  const inWords = (english) => local(english).replaceAll("`", "");
  const languageOf = (english) => (state.language === "ja" && english && !japanese[english] ? "en" : null);
  const count = (n) => n.toLocaleString("en-US");
  const percent = (share) => (share > 0 && share < 0.001 ? "< 0.1%" : `${(100 * share).toFixed(1)}%`);
  const number = (x) => {
    if (x === null || x === undefined) return "–";
    if (Number.isInteger(x)) return count(x);
    const size = Math.abs(x);
    return size >= 1000 ? count(Math.round(x)) : String(Number(x.toPrecision(size < 0.001 ? 2 : 4)));
  };
  // A value beyond a bound never reads as the bound: with as many digits as it takes.
  const numberBeyond = (x, bound) => {
    for (let digits = 4; bound !== null && x !== bound && digits <= 17; digits++) {
      const shown = Number(x.toPrecision(digits));
      if (shown !== bound && number(x) === number(bound)) return String(shown);
    }
    return number(x);
  };
  const numberOf = (n, key, strong) =>
    say("number_of").split(/(\{\d\})/).map((part) => (part === "{0}" ? (strong ? h("b", {}, count(n)) : count(n)) : part === "{1}" ? say(key) : part));
  const amount = (x) => {
    if (x === null || x === undefined) return "–";
    if (report.corpus.unit === "seconds") return (x / 3600).toFixed(x > 360000 ? 1 : 4);
    return report.corpus.unit === "bytes" ? fileSize(x) : count(Math.round(x));
  };
  const fileSize = (x) => {
    if (x === null || x === undefined) return "–";
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (x < 1000) return unit === "B" ? `${x} B` : `${x.toFixed(1)} ${unit}`;
      x /= 1000;
    }
    return `${x.toFixed(1)} TB`;
  };
  const records = () => pick(report.corpus.records);
  const NUMBER = "(-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?)";
  const inSigns = (bound) => inWords(bound)
    .replace(RegExp(`(?:\\bat_least|>=) ${NUMBER}`, "g"), (_, limit) => say("least_bound", limit))
    .replace(RegExp(`(?:\\bat_most|<=) ${NUMBER}`, "g"), (_, limit) => say("most_bound", limit))
    .replace(/^(?:any_of|one of) (.+)$/, (_, words) => say("one_of", words))
    .replace(/^(?:none_of|none of) (.+)$/, (_, words) => say("none_of", words));
  const stepName = (step) => say(`step_${step}`);
  const ruleName = (rule) => (labels[rule] && rule !== "unreadable" ? say(rule) : rule === "unreadable" ? say("unreadable") : rule);

  // -- elements

  // What would end or turn a line, should any be left, is a mark.
  const UNSHOWN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child === null || child === undefined || child === false) continue;
      element.append(child instanceof Node ? child : String(child).replace(UNSHOWN, "\ufffd"));
    }
    return element;
  }
  const text = (content) => h("span", { class: "text", dir: "auto" }, content ?? "");
  const link = (url, shown) => (/^https?:\/\//i.test(url) ? h("a", { href: url, rel: "noreferrer noopener" }, shown) : shown);

  function bar(parts) {
    const total = d3.sum(parts, (part) => part[1]) || 1;
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 100 1");
    svg.setAttribute("preserveAspectRatio", "none");
    let at = 0;
    for (const [name, value] of parts) {
      const rect = document.createElementNS(SVG, "rect");
      const width = (100 * value) / total;
      Object.entries({ x: at, width, height: 1, fill: `var(--${name})` }).forEach(([key, one]) => rect.setAttribute(key, one));
      svg.append(rect);
      at += width;
    }
    return h("span", { class: "bar", "aria-hidden": "true" }, svg);
  }

  // A table whose columns sort: [heading, value of a row, shown (default: the value), class]
  function table(columns, rows, id) {
    const body = h("tbody");
    const order = { column: null, up: false };
    const heads = columns.map(([heading, , , kind], number) =>
      h("th", { scope: "col", class: kind },
        h("button", { type: "button", title: say("sort", heading), onclick: () => sort(number) }, heading)));
    function fill(sorted) {
      body.replaceChildren(...sorted.map((row) => h("tr", {}, columns.map(([heading, value, shown, kind]) =>
        h("td", { class: kind, "data-label": heading }, shown ? shown(row) : value(row))))));
    }
    function sort(number) {
      order.up = order.column === number ? !order.up : typeof columns[number][1](rows[0] ?? {}) === "string";
      order.column = number;
      heads.forEach((head, i) => (i === number ? head.setAttribute("aria-sort", order.up ? "ascending" : "descending") : head.removeAttribute("aria-sort")));
      fill(d3.sort(rows, (a, b) => (order.up ? d3.ascending : d3.descending)(columns[number][1](a), columns[number][1](b))));
    }
    fill(rows);
    return h("div", { class: "scroll" }, h("table", { id, class: columns.length > 4 || ["funnel-table", "inputs-table"].includes(id) ? "stack" : null }, h("thead", {}, h("tr", {}, heads)), body));
  }

  function section(id, title, about, ...content) {
    return h("section", { id }, h("h2", {}, title), about && h("p", { class: "quiet" }, about), content);
  }
  const legend = (...further) => h("p", { class: "legend" }, GROUPS.map((name) => h("span", {}, h("i", { class: name }), say(name))), further);

  // -- charts

  const widthOf = (wanted) => Math.max(240, Math.min(wanted, document.documentElement.clientWidth - 60));
  const widthOfText = (words) => d3.sum(words, (letter) => (letter > "\u2e80" ? 10.5 : 6)); // in the font of axes
  const chart = (options) => h("figure", { class: "chart" }, Plot.plot({ style: { background: "none" }, ...options }));
  const tip = (data, options) => Plot.tip(data, { fontSize: 12, lineHeight: 1.3, ...options });

  function histogram(bins, bounds, width = 300) {
    const log = bins.scale === "log", edges = bins.edges;
    const isWhole = edges.length < 10 && edges.every((edge) => Math.abs(edge % 1) === 0.5); // a bin for each number
    const middle = (low, high) => (log ? Math.sqrt(low * high) : (low + high) / 2);
    const bars = d3.range(edges.length - 1).flatMap((i) => {
      let at = 0;
      return GROUPS.map((name) => ({ name, low: edges[i], high: edges[i + 1], from: at, to: (at += bins[name][i]) }));
    }).filter((one) => one.to > one.from);
    const tips = d3.range(edges.length - 1).map((i) => {
      const counts = GROUPS.map((name) => bins[name][i]);
      const range = i === 0 ? say("below", number(edges[1])) : i === edges.length - 2 ? say("above", number(edges[i])) : say("to", number(edges[i]), number(edges[i + 1]));
      return { x: middle(edges[i], edges[i + 1]), y: d3.sum(counts), title: [range, ...GROUPS.map((name, j) => `${say(name)} ${count(counts[j])}`)].join("\n") };
    }).filter((one) => one.y > 0);
    return chart({
      width: widthOf(width), height: 130, marginLeft: 38, marginRight: 12, marginTop: 10, marginBottom: 24,
      x: { type: log ? "log" : "linear", domain: [edges[0], edges.at(-1)], ticks: isWhole ? edges.slice(0, -1).map((edge) => edge + 0.5) : edges.at(-1) < 0.01 ? 3 : 5, label: null, tickFormat: log || isWhole ? (x) => number(x) : undefined },
      y: { type: "sqrt", ticks: 3, label: null, grid: true, tickFormat: "~s" },
      marks: [
        Plot.rect(bars, { x1: "low", x2: "high", y1: "from", y2: "to", fill: (one) => `var(--${one.name})`, insetLeft: 0.4, insetRight: 0.4 }),
        Plot.ruleY([0], { stroke: "var(--line)" }),
        Plot.ruleX(bounds.filter((bound) => edges[0] <= bound.value && bound.value <= edges.at(-1)), { x: "value", stroke: "var(--ink)", strokeWidth: 1.4, strokeDasharray: "4 2" }),
        tip(tips, Plot.pointerX({ x: "x", y: "y", title: "title" })),
      ],
    });
  }

  function wordBars(words, width = 300) {
    const shown = words.slice(0, 12).map((word) => ({ ...word, name: word.value === null ? say("no_value") : word.value.replace(UNSHOWN, "\ufffd").slice(0, 24) }));
    const bars = shown.flatMap((word) => {
      let at = 0;
      return GROUPS.map((group) => ({ group, name: word.name, from: at, to: (at += word[group]) }));
    }).filter((one) => one.to > one.from);
    const tips = shown.map((word) => ({ name: word.name, x: d3.sum(GROUPS, (g) => word[g]), title: [word.name, ...GROUPS.map((g) => `${say(g)} ${count(word[g])}`)].join("\n") }));
    return chart({
      width: widthOf(width), height: 30 + 18 * shown.length, marginLeft: 96, marginRight: 14, marginTop: 4, marginBottom: 24,
      x: { type: "sqrt", ticks: 4, label: null, grid: true, tickFormat: "~s" }, y: { label: null, domain: shown.map((word) => word.name) },
      marks: [
        Plot.barX(bars, { x1: "from", x2: "to", y: "name", fill: (one) => `var(--${one.group})`, insetTop: 1, insetBottom: 1 }),
        tip(tips, Plot.pointerY({ x: "x", y: "name", title: "title" })),
      ],
    });
  }

  function funnelChart(states) {
    const rows = states.map((one, i) => ({ ...one, name: stepName(one.step), lost: i ? states[i - 1].records - one.records : 0 }));
    return chart({
      width: widthOf(1120), height: 44 * rows.length + 30, marginLeft: Math.max(d3.max(rows, (row) => widthOfText(row.name)) + 12, widthOf(1120) < 500 ? 0 : 150), marginRight: 60, marginTop: 4, marginBottom: 24,
      x: { label: null, ticks: 5, tickFormat: "~s", grid: true }, y: { label: null, domain: rows.map((row) => row.name), tickSize: 0 },
      marks: [
        Plot.barX(rows, { x1: 0, x2: "records", y: "name", fill: "var(--kept)", insetTop: 6, insetBottom: 6 }),
        Plot.barX(rows, { x1: "records", x2: (row) => row.records + row.lost, y: "name", fill: "var(--dropped)", fillOpacity: 0.28, insetTop: 6, insetBottom: 6 }),
        Plot.text(rows, { x: (row) => row.records + row.lost, y: "name", text: (row) => count(row.records), dx: 6, textAnchor: "start", fill: "currentColor", fontSize: 12 }),
        tip(rows, Plot.pointerY({ x: "records", y: "name", title: (row) => `${row.name}\n${say("left")} ${count(row.records)}\n${say("lost")} ${count(row.lost)}` })),
      ],
    });
  }

  // -- records

  function picture(id) {
    return pictures[id] ? h("img", { src: pictures[id], alt: "", decoding: "async" }) : null;
  }
  function values(record) {
    const parts = [];
    if (record.measured !== null) parts.push(h("span", { class: "value kept" }, number(record.measured)));
    else if (record.verdict !== "kept" && (record.value !== null || record.value_text))
      parts.push(h("span", { class: "value" }, record.value !== null ? numberBeyond(record.value, record.bound) : record.value_text, record.bound_text && record.value !== null ? ` (${inSigns(record.bound_text)})` : ""));
    return parts;
  }
  const meta = (record, ...further) => h("span", { class: "meta" }, values(record), further, h("span", { class: "id" }, record.id));
  const evidence = (record) => record.evidence.length ? h("p", { class: "evidence" }, record.evidence.map((one) =>
    h("bdi", {}, one.before, h("mark", {}, one.text), one.after, one.count > 1 && h("span", { class: "quiet" }, ` ${count(one.count)}×`), one.what && h("span", { class: "quiet" }, ` (${one.what === "ambiguous" ? say("ambiguous") : one.what})`)))) : null;
  const recordRow = (record, ...further) => h("div", { class: "record" }, picture(record.id), h("div", {}, text(record.excerpt), evidence(record), meta(record, ...further)));
  const recordList = (title, list) => (list.length ? h("div", {}, h("h4", {}, title), list.map((record) => recordRow(record))) : null);

  function difference(pair) {
    if (!pair.difference.some(([kind]) => kind === "removed" || kind === "added")) return h("p", { class: "quiet" }, say("identical"));
    return h("p", { class: "difference", dir: "auto" }, pair.difference.map(([kind, part]) =>
      kind === "removed" ? h("del", {}, part) : kind === "added" ? h("ins", {}, part) : kind === "gap" ? h("span", { class: "gap" }, "⋯") : h("span", {}, part)));
  }

  const sheetItem = (record) => h("figure", {}, picture(record.id), h("figcaption", {},
    record.rule && h("span", { class: "badge" }, ruleName(record.rule)), text(record.excerpt), meta(record)));

  // -- sections

  function head() {
    const { corpus, totals } = report, total = totals.records || 1;
    const lost = [...report.sources.shown, ...(report.domains?.shown ?? [])].filter((one) => one.most_at).slice(0, 10);
    const warnings = [...report.warnings.map(local), ...lost.map((one) => `${one.name}: ${say("lost_most", stepName(one.most_at))} (${count(one[one.most_at])} / ${count(one.records)})`)];
    const tile = (name, value, label) => h("div", { class: `tile ${name}` }, h("b", {}, value), h("span", {}, label));
    return [
      h("h1", {}, corpus.title),
      h("p", {}, corpus.description),
      h("p", { class: "quiet" }, h("code", {}, corpus.name), ` · ${say("license")}: ${corpus.license}`, corpus.homepage ? [" · ", link(corpus.homepage, say("homepage"))] : null),
      corpus.is_sample && h("p", {}, h("span", { class: "badge" }, say("sample"))),
      corpus.limit !== null && h("p", {}, h("span", { class: "badge" }, say("limited", count(corpus.limit)))),
      h("div", { class: "tiles" },
        tile("in", count(totals.records), say("records_in", records())),
        ...["kept", "dropped", "duplicate", "unreadable"].map((name) => tile(name, count(totals[name]), `${say(name)} · ${percent(totals[name] / total)}`)),
        tile("ratio", percent(totals.polishing_ratio), say("ratio", pick(totals.polishing_unit)))),
      warnings.length ? h("ul", { class: "warnings" }, warnings.map((one) => h("li", {}, one))) : null,
    ];
  }

  function funnel() {
    const rows = report.funnel.map((one, i) => ({ ...one, lost: i ? report.funnel[i - 1].records - one.records : 0, place: i }));
    return section("funnel", say("funnel"), say("funnel_about"), h("div", { class: "panel" }, funnelChart(report.funnel), h("div", { class: "columns" },
      table([
        [say("step"), (row) => row.place, (row) => stepName(row.step), "step"],
        [records(), (row) => row.records, (row) => count(row.records), "number"],
        [say("lost"), (row) => row.lost, (row) => count(row.lost), "number"],
        [say(report.corpus.unit), (row) => row.amount, (row) => amount(row.amount), "number"],
      ], rows, "funnel-table"),
      table([
        [say("split"), (row) => row.name],
        [records(), (row) => row.records, (row) => count(row.records), "number"],
        [say(report.corpus.unit), (row) => row.amount, (row) => amount(row.amount), "number"],
      ], report.splits, "splits-table"))));
  }

  function showRule(rule) {
    const target = document.getElementById(`rule-${rule}`);
    if (target) { target.open = true; target.scrollIntoView({ block: "start" }); }
  }

  function reasons() {
    const total = report.totals.records || 1, most = d3.max(report.reasons, (one) => one.records) || 1;
    const hasExamples = (one) => Object.values(one.examples).some((list) => list.length);
    const columns = [
      [say("rule"), (one) => ruleName(one.rule), (one) => hasExamples(one) ? h("a", { href: `#rule-${one.rule}`, onclick: (event) => { event.preventDefault(); showRule(one.rule); } }, ruleName(one.rule)) : ruleName(one.rule), "name"],
      [say("step"), (one) => stepName(one.step), null, "step"],
      [say("records"), (one) => one.records, (one) => count(one.records), "number"],
      [say("share"), (one) => one.records / total, (one) => [bar([[one.verdict === "dropped" ? "dropped" : one.verdict, one.records], ["line", most - one.records]]), ` ${percent(one.records / total)}`], "number"],
      [say(report.corpus.unit), (one) => one.amount ?? -1, (one) => amount(one.amount), "number"],
      [say("bound"), (one) => inSigns(one.bound), null, "wide"],
    ];
    const details = report.reasons.filter(hasExamples).map((one) => {
      const examples = one.examples;
      return h("details", { id: `rule-${one.rule}`, open: state.open.has(one.rule), ontoggle: (event) => state.open[event.target.open ? "add" : "delete"](one.rule) },
        h("summary", {}, h("b", {}, ruleName(one.rule)), h("span", { class: "quiet" }, inSigns(one.bound)), h("span", { class: "count" }, count(one.records))),
        one.description && h("p", { class: "quiet" }, h("span", { lang: languageOf(one.description) }, inWords(one.description)), one.reason ? [" — ", h("span", { lang: languageOf(one.reason) }, inWords(one.reason))] : null, one.source ? h("span", { lang: "en" }, ` (${one.source})`) : null),
        h("div", { class: "examples" },
          recordList(say("kept_near"), examples.kept_near), recordList(say("near"), examples.near),
          recordList(say("random"), examples.random), recordList(say("far"), examples.far)));
    });
    return section("reasons", say("reasons"), say("reasons_about"), h("div", { class: "panel" }, report.reasons.length ? table(columns, report.reasons, "reasons-table") : say("nothing")),
      details.length ? h("div", { class: "panel" }, details) : null);
  }

  function measureCard(one) {
    const quantiles = [["0", "least"], ["0.5", "median"], ["1", "most"]].filter(([share]) => share in one.quantiles).map(([share, key]) => `${say(key)} ${number(one.quantiles[share])}`);
    const side = (key, value, strong) => (value === null || value === undefined ? null : numberOf(value, key, strong && value));
    const sides = [side("inside", one.inside), side("outside", one.outside, true), one.dropped ? side("first_here", one.dropped) : null, one.missing ? side("missing", one.missing) : null].filter(Boolean);
    return h("div", { class: "card", id: `measure-${one.name}` }, h("h3", {}, one.name), h("p", { lang: languageOf(one.description) }, inWords(one.description)),
      one.bins ? histogram(one.bins, one.bounds) : null, one.words.length ? wordBars(one.words) : null,
      one.bins?.zeros ? h("p", {}, numberOf(d3.sum(one.bins.zeros), "zeros")) : null,
      one.fitted ? h("p", {}, say("fitted", say(one.fitted))) : null,
      sides.length ? h("p", { class: "sides" }, sides.map((part, i) => [i ? " · " : "", part])) : null,
      h("p", {}, [...one.bounds.map((bound) => `${bound.kind === "at_least" ? "≥" : "≤"} ${number(bound.value)}`), ...quantiles].join(" · ")));
  }

  function measures() {
    const hasRule = (one) => one.inside !== null || one.fitted;
    const shown = report.measures.filter((one) => hasRule(one) || (!state.onlyRules && one.records));
    const empty = report.measures.filter((one) => !hasRule(one) && !one.records);
    const button = (only, key) => h("button", { type: "button", "aria-pressed": String(state.onlyRules === only), onclick: () => { state.onlyRules = only; render(); } }, say(key));
    return section("measures", say("measures"), say("measures_about"),
      legend(h("span", { class: "choice" }, button(false, "all_measures"), button(true, "only_rules"))),
      h("div", { class: "grid" }, shown.map(measureCard)),
      empty.length ? h("p", { class: "quiet" }, `${say("without_values")}: ${empty.map((one) => one.name).join(", ")}`) : null);
  }

  function languages() {
    const found = report.measures.filter((one) => one.words.length && one.name.includes("language"));
    return found.length ? section("languages", say("languages"), null, h("div", { class: "columns" }, found.map((one) => h("div", { class: "panel" }, h("h3", {}, one.name), table([
      [say("value"), (word) => word.value ?? "", (word) => word.value ?? say("no_value")],
      ...GROUPS.map((group) => [say(group), (word) => word[group], (word) => count(word[group]), "number"]),
    ], one.others ? [...one.words, { value: say("other_values", count(one.others.count)), ...one.others }] : one.words, `words-${one.name}`))))) : null;
  }

  function duplicates() {
    const found = report.duplicates;
    if (!found.exact && !found.near && !found.sizes.length) return null;
    const sizes = found.sizes.map((size) => ({ ...size, name: size.most === null ? say("above", size.least) : size.least === size.most ? String(size.least) : `${size.least}–${size.most}` }));
    const sizeChart = () => chart({
      width: widthOf(480), height: 170, marginLeft: 40, marginBottom: 38, x: { label: say("records_in_cluster"), domain: sizes.map((size) => size.name) }, y: { type: "sqrt", label: null, grid: true, ticks: 3, tickFormat: "~s" },
      marks: [Plot.barY(sizes, { x: "name", y: "clusters", fill: "var(--duplicate)" }), tip(sizes, Plot.pointerX({ x: "name", y: "clusters", title: (size) => `${size.name}\n${say("clusters")} ${count(size.clusters)}\n${say("records")} ${count(size.records)}` }))],
    });
    return section("duplicates", say("duplicates"), say("duplicates_about", count(found.exact), count(found.near), count(found.clusters), inWords(report.corpus.near_duplicate)),
      h("div", { class: "columns" },
        sizes.length ? h("div", { class: "panel" }, h("h3", {}, say("cluster_sizes")), sizeChart()) : null,
        found.similarity ? h("div", { class: "panel" }, h("h3", {}, say("similarities")), histogram(found.similarity, found.accept === null ? [] : [{ value: found.accept }], 480)) : null),
      found.pairs.length ? h("div", { class: "panel" }, h("h3", {}, say("pairs")), h("p", { class: "quiet" }, say("pairs_about")), found.pairs.map((pair) => h("div", { class: "pair" },
        h("span", { class: "meta" }, h("span", { class: "badge" }, ruleName(pair.duplicate.rule)), h("span", {}, `${say("similarity")} ${number(pair.similarity)}`),
          h("span", { class: "id" }, `${pair.duplicate.id} → ${pair.survivor ? pair.survivor.id : "–"}`)),
        h("div", { class: "pictures" }, picture(pair.duplicate.id), pair.survivor && picture(pair.survivor.id)), difference(pair)))) : null,
      found.largest.length ? h("div", { class: "panel" }, h("h3", {}, say("largest")), found.largest.map((record) => recordRow(record, h("span", {}, `${count(record.cluster_size)} ${records()}`)))) : null);
  }

  function cleaning() {
    if (!report.removed.length) return null;
    return section("cleaning", say("cleaning"), null, h("div", { class: "columns" }, report.removed.map((one, i) => h("div", { class: "panel" },
      h("h3", {}, pick(one.kind)), h("p", { class: "quiet" }, say("removed_in_all", count(one.lines), count(one.chars))),
      table([[say("line"), (row) => row[0], (row) => text(row[0]), "wide"], [say("times"), (row) => row[1], (row) => count(row[1]), "number"]], one.samples, `removed-${i}`)))));
  }

  function losses(id, title, about, group) {
    if (!group || !group.shown.length) return null;
    const others = group.others ? [{ ...group.others, name: say("others", count(Math.max(group.count - group.shown.length, 0))) }] : [];
    const share = (one) => one.kept / (one.records || 1);
    const columns = [
      [say("name"), (one) => one.name, (one) => [h("span", { dir: "auto" }, one.name), one.most_at ? [" ", h("span", { class: "badge" }, say("lost_most", stepName(one.most_at)))] : null], "name"],
      [say("records"), (one) => one.records, (one) => count(one.records), "number"],
      ...[["unreadable", "unreadable"], ["rules", "decide"], ["duplicate", "deduplicate"], ["step_strip", "strip"], ["kept", "kept"]]
        .filter(([, key]) => key !== "strip" || d3.some(group.shown, (one) => one.strip))
        .map(([label, key]) => [say(label), (one) => one[key], (one) => count(one[key]), "number"]),
      [say("share"), share, (one) => [bar([["kept", one.kept], ["dropped", one.decide + one.strip], ["duplicate", one.deduplicate], ["unreadable", one.unreadable]]), ` ${percent(share(one))}`], "number"],
      [say(report.corpus.unit), (one) => one.kept_amount ?? -1, (one) => amount(one.kept_amount), "number"],
    ];
    return section(id, title, about, h("div", { class: "panel" }, table(columns, [...group.shown, ...others], `${id}-table`)));
  }

  function examples() {
    const withPictures = report.corpus.modality !== "text";
    const dropped = report.reasons.filter((one) => one.verdict === "dropped").flatMap((one) => [...one.examples.random, ...one.examples.near].slice(0, 3));
    const list = (items) => withPictures ? h("div", { class: "sheet" }, items.map(sheetItem)) : h("div", { class: "panel two" }, items.map((record) => recordRow(record)));
    return section("examples", say("examples"), null,
      h("h3", {}, say("kept_examples")), report.kept.length ? list(report.kept) : say("nothing"),
      withPictures && dropped.length ? [h("h3", {}, say("dropped_examples")), list(dropped)] : null);
  }

  function tokenizer() {
    const { tokenizer, tokens } = report;
    if (!tokenizer && !tokens) return null;
    const rows = Object.entries({ ...tokenizer?.settings, ...tokenizer?.figures }).filter(([, value]) => typeof value !== "object");
    const splits = Object.entries(tokens?.splits ?? {}).map(([name, counts]) => ({ name, ...counts }));
    const columns = Object.keys(splits[0] ?? {}).filter((key) => typeof splits[0][key] === "number");
    return section("tokenizer", say("tokenizer"), null, h("div", { class: "columns" },
      rows.length ? h("div", { class: "panel" }, table([[say("figure"), (row) => row[0]], [say("value"), (row) => row[1], (row) => (typeof row[1] === "number" ? number(row[1]) : row[1]), "number"]], rows, "tokenizer-table")) : null,
      splits.length ? h("div", { class: "panel" }, h("h3", {}, say("tokens")), table([[say("split"), (row) => row.name], ...columns.map((key) => [key.replaceAll("_", " "), (row) => row[key], (row) => count(row[key]), "number"])], splits, "tokens-table")) : null));
  }

  function effort() {
    const { effort } = report;
    const rows = Object.entries(effort.steps).map(([step, seconds]) => ({ step, seconds }));
    const speed = effort.content_bytes / 1e6 / Math.max(effort.seconds, 1e-6);
    return section("effort", say("effort"), say("effort_about", number(effort.seconds), number(Number(speed.toFixed(2))), (effort.peak_memory / 1e9).toFixed(2)),
      h("div", { class: "panel" }, rows.length ? table([
        [say("step"), (row) => row.step, (row) => stepName(row.step)],
        [say("seconds_of_step"), (row) => row.seconds, (row) => row.seconds.toFixed(2), "number"],
        [say("share"), (row) => row.seconds, (row) => bar([["kept", row.seconds], ["line", d3.sum(rows, (one) => one.seconds) - row.seconds]]), "number"],
      ], rows, "effort-table") : say("nothing")));
  }

  function inputs() {
    return section("inputs", say("inputs"), null, h("div", { class: "panel" }, table([
      [say("file"), (file) => file.name, (file) => h("span", { dir: "auto" }, file.name), "name"],
      [say("size"), (file) => file.size ?? -1, (file) => fileSize(file.size), "number"],
      ["SHA-256", (file) => file.sha256 ?? "", (file) => h("code", {}, file.sha256 ?? "–"), "wide"],
    ], report.inputs, "inputs-table")), h("div", { class: "columns" },
      report.licenses.length ? h("div", { class: "panel" }, h("h3", {}, say("licenses")), table([
        [say("license"), (one) => one.name ?? "", (one) => one.name ?? say("not_named"), "name"],
        [say("records"), (one) => one.records, (one) => count(one.records), "number"],
        [say(report.corpus.unit), (one) => one.amount, (one) => amount(one.amount), "number"],
      ], report.licenses, "licenses-table")) : null,
      h("div", { class: "panel" }, table([[say("library"), (row) => row[0]], [say("version"), (row) => row[1]]], Object.entries(report.versions), "versions-table"))));
  }

  function render() {
    const root = document.documentElement;
    root.lang = state.language;
    root.dataset.theme = state.theme;
    const parts = [funnel(), reasons(), examples(), measures(), duplicates(), cleaning(), losses("sources", say("losses"), say("losses_about"), report.sources),
      losses("domains", say("domains"), null, report.domains), languages(), tokenizer(), effort(), inputs()].filter(Boolean);
    const buttons = h("div", { class: "buttons" },
      h("button", { type: "button", id: "language", lang: state.language === "ja" ? "en" : "ja", onclick: () => { state.language = state.language === "ja" ? "en" : "ja"; render(); } }, say("switch")),
      h("button", { type: "button", id: "theme", onclick: () => { state.theme = state.theme === "dark" ? "light" : "dark"; render(); } }, say(state.theme === "dark" ? "theme_light" : "theme")));
    const nav = h("nav", { "aria-label": say("contents") }, parts.map((part) => h("a", { href: `#${part.id}` }, part.querySelector("h2").textContent)));
    const at = scrollY;
    document.getElementById("page").replaceChildren(h("header", { class: "top" }, h("div", {}, nav, buttons)),
      h("main", { class: `of-${report.corpus.modality}` }, head(), parts, h("footer", {}, say("made_by"))));
    scrollTo(0, at);
    root.dataset.ready = "true";
  }

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
  render();
})();
