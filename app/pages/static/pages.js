// What a page does beside htmx: says whether it is live, opens dialogs, takes keys. Pages are whole without it.

const $ = (selector, root = document) => root.querySelector(selector);

// Whether what one sees is how things are now.
const live = $("#live");
function say(state, text) {
  if (!live || (live.dataset.is === state && live.textContent === text)) return;
  live.dataset.is = state;
  live.textContent = text;
}
document.addEventListener("htmx:sse:after:message", (event) => {
  if (!event.detail.message.event) say("live", "Live");
});
document.addEventListener("htmx:sse:error", () => say("away", "Not live: trying again"));
document.addEventListener("htmx:sse:before:connection", (event) => {
  if (event.detail.connection.attempt > 0 && !document.hidden) say("away", "Not live: trying again");
});
document.addEventListener("away", (event) => say("away", `Not live: ${event.detail.data}`));
document.addEventListener("signed-out", () => {
  const to = encodeURIComponent(location.pathname + location.search);
  say("away", "Signed out");
  $("#notices").innerHTML = "";
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.append("Your session has ended. What you see is how things were. ");
  const link = document.createElement("a");
  link.href = `/sign-in?ended=1&to=${to}`;
  link.textContent = "Sign in again";
  notice.append(link);
  $("#notices").append(notice);
});

// What was asked for never got through: say so where one looks for what was done.
document.addEventListener("htmx:error", (event) => {
  const method = event.detail.ctx?.request?.method?.toUpperCase();
  if (!method || method === "GET") return;
  const notice = document.createElement("p");
  notice.className = "notice wrong";
  notice.setAttribute("role", "alert");
  notice.textContent = "The deck did not answer: look whether that was done before you ask for it again.";
  $("#notices").replaceChildren(notice);
});

// Something was done: look again at once, and let go of the dialog that asked for it.
document.addEventListener("acted", () => {
  $("#dialog").close();
  htmx.ajax("GET", location.pathname + location.search, { target: "#main", select: "#main > *", swap: "innerMorph" });
});
document.addEventListener("htmx:after:swap", () => {
  const dialog = $("#dialog");
  if (dialog.childElementCount && !dialog.open) dialog.showModal();
  draw();
});
$("#dialog")?.addEventListener("close", (event) => event.target.replaceChildren());
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close]")) {
    event.preventDefault();
    $("#dialog").close();
  }
  if (event.target.matches("#notices > :not(:has(a))")) event.target.remove();
});

// The theme: what the system says, then light, then dark.
const theme = $("#theme");
if (theme) {
  theme.hidden = false;
  const next = { "": "light", light: "dark", dark: "" };
  const show = () => {
    theme.textContent = { "": "Auto", light: "Light", dark: "Dark" }[localStorage.getItem("theme") ?? ""];
    theme.setAttribute("aria-label", `${theme.textContent} theme: change it`);
  };
  theme.addEventListener("click", () => {
    const chosen = next[localStorage.getItem("theme") ?? ""];
    localStorage.setItem("theme", chosen);
    if (chosen) document.documentElement.dataset.theme = chosen;
    else delete document.documentElement.dataset.theme;
    show();
    draw(true);
  });
  show();
}

// What went wrong is said in the dialog that asked for it.
document.addEventListener("htmx:after:swap", () => {
  const wrong = $("#notices > .wrong");
  if (!wrong || !$("#dialog").open) return;
  $("#dialog > .wrong")?.remove();
  $("#dialog").prepend(wrong);
});

// A box that stands for all boxes of its table.
document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-all]")) return;
  for (const box of event.target.closest("table").querySelectorAll("tbody input[type=checkbox]")) box.checked = event.target.checked;
});

// How many are chosen, and whether that is all; a form asks only for what is filled in.
function count() {
  const place = $("#chosen-count");
  if (!place) return;
  const boxes = [...document.querySelectorAll("main tbody input[name=job_ids]")];
  const chosen = boxes.filter((box) => box.checked).length;
  place.textContent = chosen ? `${chosen} selected:` : "Selected:";
  const all = $("main [data-all]");
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
}
document.addEventListener("change", count);
document.addEventListener("htmx:after:swap", count);
addEventListener("pageshow", () => setTimeout(count)); // where a browser puts back what was ticked
document.addEventListener("formdata", (event) => {
  if (event.target.method !== "get") return;
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
});

// Keys: g and a letter goes to a page, / finds, j and k go through rows, Enter opens one, ? says so.
function showKeys() {
  if (!$("#keys")) return;
  $("#dialog").replaceChildren($("#keys").content.cloneNode(true));
  $("#dialog").showModal();
}
const help = $("#help");
if (help) {
  help.hidden = false;
  help.addEventListener("click", showKeys);
}
let before = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog[open]")) return;
  const was = before;
  before = event.key;
  if (was === "g") {
    $(`.top nav [data-key="${CSS.escape(event.key)}"]`)?.click();
  } else if (event.key === "/") {
    event.preventDefault();
    $(".find input")?.focus();
  } else if (event.key === "j" || event.key === "k") {
    const row = (link) => link.closest("tr, .group");
    const links = [...document.querySelectorAll("main tbody tr :is(th, td) > a:first-of-type, main .group h2 a")].filter((link, at, all) => at === 0 || row(link) !== row(all[at - 1]));
    const at = links.findIndex((link) => row(link).contains(document.activeElement));
    links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
  } else if (event.key === "?") {
    showKeys();
  }
});

// Charts: <div class="chart" data-chart='{"x": [Unix seconds], "series": [{"label", "colour", "values"}]}'>, the table beside it says the same.
const drawn = new WeakMap();
function draw(anew = false) {
  if (!window.uPlot) return;
  for (const place of document.querySelectorAll("[data-chart]")) {
    const was = drawn.get(place);
    if (was && !anew && was.data === place.dataset.chart && was.plot.width === place.clientWidth) continue;
    const { x, series } = JSON.parse(place.dataset.chart);
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
    const resolved = (name) => {
      place.style.color = colour(name);
      const found = getComputedStyle(place).color;
      place.style.color = "";
      return found;
    };
    was?.plot.destroy();
    const bars = uPlot.paths.bars({ size: [0.8, 40] });
    const number = (_, value) => (value == null ? "" : value.toLocaleString("en-US").replaceAll(",", "\u2009"));
    const hour = uPlot.fmtDate("{YYYY}-{MM}-{DD} {HH}:{mm}");
    const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC");
    const axis = { stroke: resolved("soft"), grid: { stroke: resolved("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
    const plot = new uPlot(
      {
        width: place.clientWidth,
        height: 176,
        cursor: { y: false },
        legend: { live: true },
        tzDate: utc,
        axes: [{ ...axis, values: (_, ticks) => ticks.map((tick, at) => uPlot.fmtDate(at && utc(tick).getHours() ? "{HH}:{mm}" : "{MM}-{DD}\n{HH}:{mm}")(utc(tick))) }, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7], values: (_, ticks) => ticks.map((tick) => number(_, tick)) }],
        scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
        series: [{ label: "from (UTC)", value: (_, at) => (at == null ? "" : hour(utc(at))) }, ...series.map((one) => ({ label: one.label, value: number, width: 0, stroke: resolved(one.colour), fill: resolved(one.colour), paths: bars, points: { show: false } }))],
      },
      [x, ...series.map((one) => one.values)],
      place,
    );
    drawn.set(place, { data: place.dataset.chart, plot });
  }
}
addEventListener("load", () => draw());
addEventListener("resize", () => draw());
