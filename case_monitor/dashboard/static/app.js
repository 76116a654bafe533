// What every page needs: times in the viewer's zone, the theme switch, charts where there are any.
import { showTimes } from "./times.js";
import { themeSwitch } from "./theme_switch.js";

showTimes(document);
themeSwitch(document.querySelector("[data-theme-switch]"));
if (document.querySelector("[data-chart]")) {
  const { drawCharts } = await import("./charts.js");
  drawCharts(document);
}
