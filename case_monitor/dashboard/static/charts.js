// Draws the figures that the server has described in Plotly's format, in the page's own colours and fonts.
const PRINTED_WIDTH = 660; // fits on A4
const CONFIG = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };

export async function drawCharts(root) {
  const figures = [...root.querySelectorAll("[data-chart]")];
  await plotly();
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      draw(target);
    }
  }, { rootMargin: "400px" });
  figures.forEach((figure) => seen.observe(figure));
  addEventListener("themechange", () => figures.filter((figure) => figure.dataset.drawn).forEach((figure) => draw(figure)));
  addEventListener("beforeprint", () => figures.forEach((figure) => draw(figure, PRINTED_WIDTH)));
  addEventListener("afterprint", () => figures.forEach((figure) => draw(figure)));
}

function draw(figure, width) {
  const plot = figure.querySelector(".plot");
  const described = resolved(JSON.parse(figure.querySelector("script").textContent));
  plot.querySelector(".loading")?.remove();
  figure.dataset.drawn = "yes";
  Plotly.react(plot, described.data, themed({ ...roomForLegend(plot, described), ...described.layout, ...(width && { width: Math.min(width, plot.clientWidth) }) }), CONFIG);
  plot.removeAllListeners?.("plotly_click");
  // A point may lead somewhere: its address is the last entry of its customdata.
  plot.on("plotly_click", ({ points }) => {
    const link = [points[0].customdata].flat().at(-1);
    if (typeof link === "string" && /^\/(?![/\\])/.test(link)) location.href = link;
  });
}

// In a narrow window each entry of the legend has a line of its own, and must not take it from the plot.
function roomForLegend(plot, { data, layout }) {
  const entries = data.filter((trace) => trace.name && trace.showlegend !== false).length;
  const shown = layout?.showlegend ?? data.length > 1;
  return plot.clientWidth < 480 && shown && entries > 2 ? { height: 300 + 20 * entries } : {};
}

// "var(--case)" is the value of that custom property in the current theme.
function resolved(value) {
  if (Array.isArray(value)) return value.map(resolved);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolved(item)]));
  }
  const name = typeof value === "string" && value.match(/^var\((--[\w-]+)\)$/)?.[1];
  return name ? property(name) : value;
}

function property(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function themed(layout) {
  const axis = (given) => ({
    gridcolor: property("--line"), linecolor: property("--line-strong"), zerolinecolor: property("--line-strong"),
    automargin: true, ...given,
  });
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: property("--font"), size: 13, color: property("--ink") },
    margin: { l: 56, r: 16, t: 16, b: 44 },
    hoverlabel: { bgcolor: property("--surface"), bordercolor: property("--line-strong"), font: { color: property("--ink") } },
    legend: { orientation: "h", y: -0.2 },
    ...layout,
    xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
    ...Object.fromEntries(axes.map((key) => [key, axis(layout[key])])),
  };
}

let loading;
function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = document.querySelector('meta[name="plotly"]').content;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => reject(new Error("Plotly's script did not load")));
    document.head.append(script);
  });
  return loading;
}
